//! Boxes on the token grid.

/// Pixels along a side of one token.
pub const TOKEN_SIDE: u32 = 16;

/// Rows and columns of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Tokens from top to bottom.
    pub rows: usize,
    /// Tokens from left to right.
    pub columns: usize,
}

impl Grid {
    /// The grid of a picture of `width` x `height` pixels; a rest that fills no token is left out.
    pub fn of(width: u32, height: u32) -> Self {
        Self {
            rows: (height / TOKEN_SIDE) as usize,
            columns: (width / TOKEN_SIDE) as usize,
        }
    }

    /// All tokens.
    pub fn tokens(self) -> usize {
        self.rows * self.columns
    }
}

/// A rectangle of whole tokens, `left..right` x `top..bottom`; at least one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cells {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Column after the last.
    pub right: usize,
    /// Row after the last.
    pub bottom: usize,
}

impl Cells {
    /// Tokens whose centre is inside a box of 0..1, without slack: neighbours would bleed into each other.
    /// A box that holds no centre takes the token that its own centre is in.
    pub fn of(bbox: [f32; 4], grid: Grid) -> Self {
        let span = |from: f32, to: f32, tokens: usize| {
            let all = tokens as f32;
            let first = |edge: f32| (edge * all - 0.5).ceil().clamp(0.0, all) as usize;
            let (start, end) = (first(from), first(to));
            if start < end {
                return (start, end);
            }
            let center = (((from + to) / 2.0 * all) as usize).min(tokens.saturating_sub(1));
            (center, center + 1)
        };
        let [x0, y0, x1, y1] = bbox;
        let (left, right) = span(x0, x1, grid.columns);
        let (top, bottom) = span(y0, y1, grid.rows);
        Self {
            left,
            top,
            right,
            bottom,
        }
    }

    /// Tokens that a box of 0..1 touches at all.
    pub fn touched(bbox: [f32; 4], grid: Grid) -> Self {
        let span = |from: f32, to: f32, tokens: usize| {
            let all = tokens as f32;
            let start = ((from * all).floor().max(0.0) as usize).min(tokens.saturating_sub(1));
            let end = ((to * all).ceil().max(0.0) as usize).min(tokens);
            (start, end.max(start + 1))
        };
        let [x0, y0, x1, y1] = bbox;
        let (left, right) = span(x0, x1, grid.columns);
        let (top, bottom) = span(y0, y1, grid.rows);
        Self {
            left,
            top,
            right,
            bottom,
        }
    }

    /// The largest square in it, in the middle of its bottom edge.
    pub fn standing_square(self) -> Self {
        let (width, height) = (self.right - self.left, self.bottom - self.top);
        let side = width.min(height);
        let left = self.left + (width - side) / 2;
        Self {
            left,
            right: left + side,
            top: self.bottom - side,
            bottom: self.bottom,
        }
    }

    /// Its size.
    pub fn grid(self) -> Grid {
        Grid {
            rows: self.bottom - self.top,
            columns: self.right - self.left,
        }
    }

    /// Its centre `(row, column)`, where a token's own position is its index.
    pub fn center(self) -> (f32, f32) {
        let middle = |from: usize, to: usize| (from + to) as f32 / 2.0 - 0.5;
        (middle(self.top, self.bottom), middle(self.left, self.right))
    }

    /// Whether the token is inside.
    pub fn contains(self, row: usize, column: usize) -> bool {
        (self.top..self.bottom).contains(&row) && (self.left..self.right).contains(&column)
    }
}
