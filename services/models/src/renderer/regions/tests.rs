use super::*;

const GRID: Grid = Grid {
    rows: 4,
    columns: 6,
};

fn thing(text: usize, bbox: [f32; 4], reference: Option<Grid>) -> ThingTokens {
    ThingTokens {
        text,
        bbox: Some(bbox),
        reference,
    }
}

fn at(tensor: &Tensor, index: &[i64]) -> f64 {
    tensor.double_value(index)
}

#[test]
fn boxes_cover_the_tokens_whose_centre_they_hold() {
    let cells = |bbox| Cells::of(bbox, GRID);
    let whole = Cells {
        left: 0,
        top: 0,
        right: 6,
        bottom: 4,
    };
    assert_eq!(cells([0.0, 0.0, 1.0, 1.0]), whole);
    assert_eq!(
        cells([0.0, 0.25, 0.5, 1.0]),
        Cells {
            left: 0,
            top: 1,
            right: 3,
            bottom: 4
        }
    );
    // Less than half of a token is none of it, and a box without any centre has one token.
    assert_eq!(
        cells([0.0, 0.0, 0.24, 0.6]),
        Cells {
            left: 0,
            top: 0,
            right: 1,
            bottom: 2
        }
    );
    assert_eq!(
        cells([0.99, 0.99, 1.0, 1.0]),
        Cells {
            left: 5,
            top: 3,
            right: 6,
            bottom: 4
        }
    );
    assert_eq!(
        Cells::touched([0.0, 0.0, 0.24, 0.6], GRID),
        Cells {
            left: 0,
            top: 0,
            right: 2,
            bottom: 3
        }
    );
    assert_eq!(
        whole.standing_square(),
        Cells {
            left: 1,
            top: 0,
            right: 5,
            bottom: 4
        }
    );
}

#[test]
fn a_thing_is_tied_to_its_box_and_blind_to_other_things() {
    let left = [0.0, 0.0, 0.5, 1.0];
    let right = [0.5, 0.0, 1.0, 1.0];
    let layout = Layout {
        base: 2,
        things: vec![
            thing(
                1,
                left,
                Some(Grid {
                    rows: 1,
                    columns: 1,
                }),
            ),
            thing(1, right, None),
        ],
    };
    let arranged = Positions::Family.arrange(GRID, &[layout], Device::Cpu);
    let bias = arranged.bias.unwrap();
    // 2 base, thing at 2, thing at 3, 24 noisy from 4, reference of the first thing at 28.
    assert_eq!(bias.size(), [1, 1, 29, 29]);
    let outside = f64::from(OUTSIDE);
    for (a, b, expected) in [
        (0, 28, 0.0),     // base and a reference
        (2, 3, outside),  // two things
        (3, 28, outside), // a thing and the other's reference
        (2, 28, 0.0),     // a thing and its own reference
        (2, 4, 0.0),      // a thing and a token in its box
        (2, 7, outside),  // ... outside
        (28, 4 + 23, outside),
        (28, 4 + 18, 0.0),
        (4, 4 + 23, 0.0), // the picture with itself
        (0, 1, 0.0),
    ] {
        assert_eq!(at(&bias, &[0, 0, a, b]), expected, "{a} {b}");
        assert_eq!(at(&bias, &[0, 0, b, a]), expected, "{b} {a}");
    }
}

#[test]
fn placed_positions_are_those_of_the_box() {
    let layout = Layout {
        base: 1,
        things: vec![thing(
            2,
            [0.5, 0.5, 5.0 / 6.0, 1.0],
            Some(Grid {
                rows: 2,
                columns: 2,
            }),
        )],
    };
    let arranged = Positions::Placed.arrange(GRID, std::slice::from_ref(&layout), Device::Cpu);
    let row = |ids: &Tensor, i: i64| {
        Vec::<f64>::try_from(ids.get(0).get(i).to_kind(Kind::Double)).unwrap()
    };
    assert_eq!(row(&arranged.text_ids, 0), [0.0, 0.0, 0.0, 0.0]);
    assert_eq!(row(&arranged.text_ids, 2), [0.0, 2.5, 3.5, 1.0]);
    assert_eq!(row(&arranged.image_ids, 7), [0.0, 1.0, 1.0, 0.0]);
    assert_eq!(row(&arranged.image_ids, 24), [10.0, 2.0, 3.0, 0.0]);
    assert_eq!(row(&arranged.image_ids, 27), [10.0, 3.0, 4.0, 0.0]);
    let family = Positions::Family.arrange(GRID, &[layout], Device::Cpu);
    assert_eq!(row(&family.text_ids, 2), [0.0, 0.0, 0.0, 1.0]);
    assert_eq!(row(&family.image_ids, 27), [10.0, 1.0, 1.0, 0.0]);
}

#[test]
fn padding_is_hidden_and_the_rest_is_as_alone() {
    let small = Layout {
        base: 2,
        things: vec![],
    };
    let large = Layout {
        base: 3,
        things: vec![thing(
            1,
            [0.0, 0.0, 0.5, 0.5],
            Some(Grid {
                rows: 2,
                columns: 2,
            }),
        )],
    };
    assert!(
        Positions::Placed
            .arrange(GRID, std::slice::from_ref(&small), Device::Cpu)
            .bias
            .is_none()
    );
    let both = Positions::Placed.arrange(GRID, &[small, large], Device::Cpu);
    let bias = both.bias.unwrap();
    assert_eq!(bias.size(), [2, 1, 32, 32]);
    let padding = f64::from(PADDING);
    for (column, expected) in [
        (1, 0.0),
        (2, padding),
        (3, padding),
        (4, 0.0),
        (27, 0.0),
        (28, padding),
        (31, padding),
    ] {
        assert_eq!(at(&bias, &[0, 0, 5, column]), expected, "{column}");
    }
    assert_eq!(at(&bias, &[1, 0, 5, 31]), f64::from(0));
}

#[test]
fn tokens_go_there_and_back() {
    let latents = Tensor::arange(48, (Kind::Float, Device::Cpu)).view([1, 2, 4, 6]);
    let tokens = to_tokens(&latents);
    assert_eq!(at(&tokens, &[0, 7, 1]), 24.0 + 7.0);
    assert_eq!(from_tokens(&tokens, GRID), latents);
}

#[test]
fn rows_are_padded_to_the_longest() {
    let rows = [
        Tensor::ones([1, 3], (Kind::Float, Device::Cpu)),
        Tensor::ones([2, 3], (Kind::Float, Device::Cpu)),
    ];
    let padded = pad(&rows).unwrap();
    assert_eq!(padded.size(), [2, 2, 3]);
    assert_eq!(at(&padded, &[0, 1, 0]), 0.0);
    assert!(pad(&[Tensor::zeros([0, 3], (Kind::Float, Device::Cpu))]).is_none());
}

proptest::proptest! {
    /// Whatever the box, it covers some tokens, all of the grid; and its standing square is a square inside it.
    #[test]
    fn every_box_covers_tokens_of_the_grid(
        rows in 1usize..40, columns in 1usize..40,
        x0 in -0.5f32..1.5, y0 in -0.5f32..1.5, x1 in -0.5f32..1.5, y1 in -0.5f32..1.5,
    ) {
        let grid = Grid { rows, columns };
        for cells in [Cells::of([x0, y0, x1, y1], grid), Cells::touched([x0, y0, x1, y1], grid)] {
            for cells in [cells, cells.standing_square()] {
                proptest::prop_assert!(cells.left < cells.right && cells.right <= columns, "{:?}", cells);
                proptest::prop_assert!(cells.top < cells.bottom && cells.bottom <= rows, "{:?}", cells);
            }
            let square = cells.standing_square();
            proptest::prop_assert_eq!(square.grid().rows, square.grid().columns);
            proptest::prop_assert!(square.left >= cells.left && square.right <= cells.right);
            proptest::prop_assert!(square.top >= cells.top && square.bottom == cells.bottom);
        }
    }
}
