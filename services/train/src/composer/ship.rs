//! Writes the prop library that is shipped: the sprites as they came, under plain names, with an index.

use std::{fs, path::Path};

use anyhow::Context;
use atelier_models::props::{Prop, PropLibrary};

use super::library::Library;

/// Terms of the sprites.
const TERMS: &str = "\
The pictures in this folder are from Fluent Emoji (https://github.com/microsoft/fluentui-emoji),
Copyright (c) Microsoft Corporation, under the MIT License, as the npm package @lobehub/fluent-emoji-3d carries them.
Names are Atelier's own; they were joined to the pictures with unicode-emoji-json (MIT, Copyright (c) Mu-An Chiou).

MIT License

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the \"Software\"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
";

/// Writes every thing that is not held out; returns how many and their bytes with the index. What was there under the same names is replaced.
pub fn write(library: &Library, dir: &Path) -> anyhow::Result<(usize, u64)> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let mut index = Vec::new();
    let mut total = 0;
    for &at in library.drawn() {
        let prop = &library.props()[at];
        let file = format!("{}.webp", stem(&prop.name));
        let bytes =
            fs::read(&prop.file).with_context(|| format!("cannot read {}", prop.file.display()))?;
        total += bytes.len() as u64;
        fs::write(dir.join(&file), bytes).with_context(|| format!("cannot write {file}"))?;
        index.push(Prop {
            name: prop.name.clone(),
            synonyms: prop.synonyms.clone(),
            file,
            article: prop.article,
        });
    }
    let lines: Vec<String> = index
        .iter()
        .map(serde_json::to_string)
        .collect::<Result<_, _>>()?;
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    total += text.len() as u64;
    fs::write(dir.join("index.json"), text).context("cannot write index.json")?;
    fs::write(dir.join("LICENSE"), TERMS).context("cannot write LICENSE")?;
    PropLibrary::open(dir).context("what was written does not open")?;
    Ok((index.len(), total))
}

/// A file's stem of a name: lower case letters, digits and dashes.
fn stem(name: &str) -> String {
    let plain: String = name
        .to_lowercase()
        .replace('ñ', "n")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    plain.trim_matches('-').to_owned()
}
