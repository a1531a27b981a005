//! Keys and values of several texts of unequal length that are written side by side: texts join and leave while others go on.

use tch::{Device, Kind, Tensor};

use super::{Cache, Decoder, Memory};

/// Smallest room that is made for a text, in tokens.
const ROOM: i64 = 256;

/// Keys and values of texts. They stand in a row without gaps: when one leaves, the last one takes its place.
pub struct Slots {
    /// Per layer keys and values `(texts, kv heads, room, head)`.
    layers: Vec<(Tensor, Tensor)>,
    /// Tokens of each text.
    lengths: Vec<i64>,
    kv_heads: i64,
    head: i64,
    kind: Kind,
    device: Device,
}

impl Slots {
    /// For texts of a decoder.
    pub fn new(decoder: &Decoder) -> Self {
        let config = decoder.config();
        let empty = || {
            let size = [0, config.kv_heads, ROOM, config.head];
            Tensor::zeros(size, (decoder.kind(), decoder.device()))
        };
        Self {
            layers: (0..config.layers).map(|_| (empty(), empty())).collect(),
            lengths: Vec::new(),
            kv_heads: config.kv_heads,
            head: config.head,
            kind: decoder.kind(),
            device: decoder.device(),
        }
    }

    /// How many texts there are.
    pub const fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Tokens of a text so far.
    pub fn length(&self, slot: usize) -> usize {
        self.lengths[slot] as usize
    }

    /// A text joins behind the others, at the end of what was read of a beginning that it shares with others. Its slot is the last one.
    pub fn join(&mut self, beginning: &Cache) -> usize {
        let (slot, length) = (self.lengths.len() as i64, beginning.len() as i64);
        self.make_room(slot + 1, length);
        for (layer, (keys, values)) in self.layers.iter().enumerate() {
            let Some((k, v)) = beginning.layer(layer) else {
                continue;
            };
            for (all, read) in [(keys, k), (values, v)] {
                all.narrow(0, slot, 1).narrow(2, 0, length).copy_(&read);
            }
        }
        self.lengths.push(length);
        self.lengths.len() - 1
    }

    /// A text leaves; the last one takes its slot.
    pub fn leave(&mut self, slot: usize) {
        let last = self.lengths.len() - 1;
        self.lengths.swap_remove(slot);
        if slot == last {
            return;
        }
        let length = self.lengths[slot];
        for tensor in self.layers.iter().flat_map(|(k, v)| [k, v]) {
            let of = |slot: usize| tensor.narrow(0, slot as i64, 1).narrow(2, 0, length);
            of(slot).copy_(&of(last));
        }
    }

    /// Room for `texts` of `tokens` each; grows by doubling.
    fn make_room(&mut self, texts: i64, tokens: i64) {
        let Some(size) = self.layers.first().map(|(keys, _)| keys.size()) else {
            return;
        };
        let (slots, room) = (size[0], size[2]);
        if texts <= slots && tokens <= room {
            return;
        }
        let grown = |now: i64, wanted: i64| {
            if wanted > now {
                wanted.max(2 * now)
            } else {
                now
            }
        };
        let wanted = [
            grown(slots, texts),
            self.kv_heads,
            grown(room, tokens),
            self.head,
        ];
        for tensor in self.layers.iter_mut().flat_map(|(k, v)| [k, v]) {
            let larger = Tensor::zeros(wanted, (self.kind, self.device));
            larger
                .narrow(0, 0, slots)
                .narrow(2, 0, room)
                .copy_(&*tensor);
            *tensor = larger;
        }
    }

    /// Begins a pass in which each of `slots` (ascending) reads so many tokens, padded to the longest.
    pub(super) fn pass(&mut self, rows: &[(usize, usize)]) -> Pass<'_> {
        let new = rows.iter().map(|(_, new)| *new).max().unwrap_or(0) as i64;
        let longest = rows.iter().map(|(slot, _)| self.lengths[*slot]).max();
        let end = longest.unwrap_or(0) + new;
        self.make_room(self.lengths.len() as i64, end);
        let room = self.layers.first().map_or(0, |(keys, _)| keys.size()[2]);
        let mut places = Vec::with_capacity(rows.len() * (self.kv_heads * new) as usize);
        for (slot, _) in rows {
            for head in 0..self.kv_heads {
                let row = (*slot as i64 * self.kv_heads + head) * room + self.lengths[*slot];
                places.extend(row..row + new);
            }
        }
        Pass {
            places: Tensor::from_slice(&places).to_device(self.device),
            rows: rows.to_vec(),
            end,
            new,
            slots: self,
        }
    }
}

/// One pass over some of the texts.
pub(super) struct Pass<'s> {
    slots: &'s mut Slots,
    /// Slots with how many tokens they read.
    rows: Vec<(usize, usize)>,
    /// Where keys and values go, as rows of `(texts * kv heads * room, head)`.
    places: Tensor,
    /// Tokens that the longest text then has, padding included.
    end: i64,
    new: i64,
}

impl Pass<'_> {
    /// Places in their texts of all tokens of the pass `(rows, new)`.
    pub fn positions(&self) -> Tensor {
        let starts: Vec<i64> = self.starts().collect();
        let options = (Kind::Int64, self.slots.device);
        let starts = Tensor::from_slice(&starts).to_device(self.slots.device);
        starts.unsqueeze(1) + Tensor::arange(self.new, options)
    }

    /// What the tokens must not see, `(rows, 1, new, end)`; None where nothing is hidden.
    pub fn hidden(&self, positions: &Tensor) -> Option<Tensor> {
        let equal = self.starts().all(|start| start + self.new == self.end);
        if equal && self.new == 1 {
            return None;
        }
        let all = Tensor::arange(self.end, (Kind::Int64, self.slots.device));
        Some(
            all.view([1, 1, 1, -1])
                .gt_tensor(&positions.unsqueeze(1).unsqueeze(3)),
        )
    }

    /// Counts what was read; what was padding is written over by what comes next.
    pub fn finish(self) {
        for (slot, new) in self.rows {
            self.slots.lengths[slot] += new as i64;
        }
    }

    fn starts(&self) -> impl Iterator<Item = i64> + '_ {
        self.rows.iter().map(|(slot, _)| self.slots.lengths[*slot])
    }

    /// The rows of the pass of `(texts, ..)`: a view where they stand together.
    fn select(&self, all: &Tensor) -> Tensor {
        let all = all.narrow(2, 0, self.end);
        let (first, count) = (self.rows[0].0, self.rows.len());
        if self.rows[count - 1].0 - first + 1 == count {
            return all.narrow(0, first as i64, count as i64);
        }
        let rows: Vec<i64> = self.rows.iter().map(|(slot, _)| *slot as i64).collect();
        all.index_select(0, &Tensor::from_slice(&rows).to_device(self.slots.device))
    }
}

impl Memory for Pass<'_> {
    fn extend(&mut self, layer: usize, k: &Tensor, v: &Tensor) -> (Tensor, Tensor) {
        let (keys, values) = &self.slots.layers[layer];
        for (all, new) in [(keys, k), (values, v)] {
            let new = new.reshape([-1, self.slots.head]);
            let _ = all
                .view([-1, self.slots.head])
                .index_copy_(0, &self.places, &new);
        }
        (self.select(keys), self.select(values))
    }
}
