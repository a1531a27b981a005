//! The header of a GGUF file (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>), from untrusted bytes: every length is checked
//! against what is left of the file before anything of that length is made.

use std::collections::BTreeMap;

use super::{Value, quant::Format};

/// Most metadata entries and most tensors of a file.
const MAX_ENTRIES: u64 = 100_000;
/// Longest name of a tensor or a metadata key, in bytes.
const MAX_NAME: u64 = 65_535;
/// Most elements of all arrays together.
const MAX_ELEMENTS: u64 = 1 << 22;
/// Deepest nesting of arrays.
const MAX_DEPTH: u32 = 2;
/// Most dimensions of a tensor.
const MAX_DIMENSIONS: u32 = 4;
/// Where tensors begin unless the file says otherwise, in bytes.
const ALIGNMENT: u64 = 32;

/// Where a tensor lies.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Outermost dimension first.
    pub shape: Vec<i64>,
    pub format: Format,
    /// From the beginning of the file, in bytes.
    pub begin: usize,
    pub end: usize,
}

#[derive(Debug)]
pub struct Header {
    pub metadata: BTreeMap<String, Value>,
    pub tensors: BTreeMap<String, Entry>,
}

/// Reads the header of a whole file's bytes.
pub fn header(bytes: &[u8]) -> Result<Header, String> {
    let mut reader = Reader {
        bytes,
        at: 0,
        elements: 0,
    };
    if reader.take(4)? != b"GGUF" {
        return Err("it does not begin with GGUF".into());
    }
    let version = reader.u32()?;
    if !(2..=3).contains(&version) {
        return Err(format!("version {version}; 2 and 3 are read"));
    }
    let count = |count: u64, what: &str| {
        if count > MAX_ENTRIES {
            return Err(format!("{count} {what}, at most {MAX_ENTRIES} are read"));
        }
        Ok(count)
    };
    let tensor_count = count(reader.u64()?, "tensors")?;
    let entry_count = count(reader.u64()?, "metadata entries")?;
    let mut metadata = BTreeMap::new();
    for _ in 0..entry_count {
        let key = reader.name()?;
        let kind = reader.u32()?;
        let value = reader
            .value(kind, 0)
            .map_err(|error| format!("{key:?}: {error}"))?;
        if metadata.insert(key.clone(), value).is_some() {
            return Err(format!("{key:?} stands there twice"));
        }
    }
    let mut tensors = BTreeMap::new();
    for _ in 0..tensor_count {
        let name = reader.name()?;
        let entry = reader
            .entry()
            .map_err(|error| format!("tensor {name:?}: {error}"))?;
        if tensors.insert(name.clone(), entry).is_some() {
            return Err(format!("tensor {name:?} stands there twice"));
        }
    }
    let alignment = match metadata.get("general.alignment") {
        None => ALIGNMENT,
        Some(Value::Unsigned(alignment))
            if alignment.is_power_of_two() && *alignment <= 1 << 20 =>
        {
            *alignment
        }
        Some(other) => return Err(format!("general.alignment is {other:?}")),
    };
    place(
        &mut tensors,
        reader.at.next_multiple_of(alignment as usize),
        bytes.len(),
        alignment as usize,
    )?;
    Ok(Header { metadata, tensors })
}

/// Makes offsets count from the beginning of the file; tensors lie inside it and do not overlap, so that they are never more than the file.
fn place(
    tensors: &mut BTreeMap<String, Entry>,
    data: usize,
    size: usize,
    alignment: usize,
) -> Result<(), String> {
    let mut placed = Vec::with_capacity(tensors.len());
    for (name, entry) in tensors {
        if !entry.begin.is_multiple_of(alignment) {
            return Err(format!(
                "tensor {name:?} begins at {}, which is not a multiple of {alignment}",
                entry.begin
            ));
        }
        let inside = entry
            .begin
            .checked_add(data)
            .zip(entry.end.checked_add(data))
            .filter(|(_, end)| *end <= size);
        (entry.begin, entry.end) =
            inside.ok_or_else(|| format!("tensor {name:?} ends behind the end of the file"))?;
        placed.push((entry.begin, entry.end, name));
    }
    placed.sort_unstable();
    match placed.windows(2).find(|pair| pair[0].1 > pair[1].0) {
        Some(pair) => Err(format!(
            "tensors {:?} and {:?} overlap",
            pair[0].2, pair[1].2
        )),
        None => Ok(()),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    elements: u64,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let end = self
            .at
            .checked_add(length)
            .filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| {
            format!(
                "it ends at byte {}, in the middle of its header",
                self.bytes.len()
            )
        })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        Ok(self
            .take(N)?
            .try_into()
            .expect("take gives as many bytes as asked for"))
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn text(&mut self, most: u64) -> Result<String, String> {
        let length = self.u64()?;
        if length > most {
            return Err(format!("a text of {length} bytes"));
        }
        let bytes = self.take(usize::try_from(length).map_err(|error| error.to_string())?)?;
        // Tokens of byte-level vocabularies are text; those of others may be cut in the middle of a character.
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn name(&mut self) -> Result<String, String> {
        self.text(MAX_NAME)
    }

    fn value(&mut self, kind: u32, depth: u32) -> Result<Value, String> {
        Ok(match kind {
            0 => Value::Unsigned(u8::from_le_bytes(self.array()?).into()),
            1 => Value::Signed(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Unsigned(self.u32()?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array()?).into()),
            7 => match self.take(1)? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                other => return Err(format!("{other:?} is neither true nor false")),
            },
            8 => Value::Text(self.text(u64::MAX)?),
            9 => {
                if depth == MAX_DEPTH {
                    return Err("arrays are nested too deep".into());
                }
                let kind = self.u32()?;
                let length = self.u64()?;
                self.elements = self.elements.saturating_add(length);
                if self.elements > MAX_ELEMENTS {
                    return Err(format!("arrays hold more than {MAX_ELEMENTS} elements"));
                }
                // Grown as it is read, so that a wrong length costs nothing.
                let mut values = Vec::new();
                for _ in 0..length {
                    values.push(self.value(kind, depth + 1)?);
                }
                Value::Array(values)
            }
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(i64::from_le_bytes(self.array()?)),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => return Err(format!("unknown kind of value {other}")),
        })
    }

    /// Begin and end count from the beginning of the data until [`place`] knows where that is.
    fn entry(&mut self) -> Result<Entry, String> {
        let dimensions = self.u32()?;
        if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
            return Err(format!("it has {dimensions} dimensions"));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(self.u64()?);
        }
        let number = self.u32()?;
        let format = Format::of(number)
            .ok_or_else(|| format!("ggml's format number {number} is not read"))?;
        let (block, block_size) = format.block();
        let begin = usize::try_from(self.u64()?).map_err(|error| error.to_string())?;
        if !shape[0].is_multiple_of(block as u64) {
            return Err(format!("rows of {} numbers in blocks of {block}", shape[0]));
        }
        let numbers = shape.iter().try_fold(1_usize, |all, side| {
            all.checked_mul(usize::try_from(*side).ok()?)
        });
        let end = numbers
            .filter(|numbers| *numbers > 0 && i64::try_from(*numbers).is_ok())
            .and_then(|numbers| (numbers / block).checked_mul(block_size))
            .and_then(|size| begin.checked_add(size));
        let end = end.ok_or_else(|| format!("the shape {shape:?} is not possible"))?;
        let shape = shape.iter().rev().map(|side| side.cast_signed()).collect();
        Ok(Entry {
            shape,
            format,
            begin,
            end,
        })
    }
}
