//! A form with pictures (multipart/form-data), read within bounds.

use atelier_platform::artifacts::digest;
use atelier_proto::{
    Sha256,
    http::{MAX_PROMPT_BYTES, MAX_REFERENCE_BYTES, MAX_REFERENCES},
};
use axum::{
    extract::{
        FromRequest, Multipart, Request,
        multipart::{Field, MultipartError},
    },
    http::StatusCode,
};
use bytes::{Bytes, BytesMut};

use super::Refusal;

/// Longest form: all pictures, the mask and the texts.
pub const MAX_FORM_BYTES: usize = (MAX_REFERENCES + 1) * MAX_REFERENCE_BYTES + (1 << 20);
/// Longest text of a field.
const MAX_TEXT_BYTES: usize = 4 * MAX_PROMPT_BYTES;
/// Most fields.
const MAX_FIELDS: usize = 64;

/// What came.
#[derive(Debug, Default)]
pub struct Form {
    /// Names and texts.
    pub texts: Vec<(String, String)>,
    /// The pictures of `image`, in their order.
    pub images: Vec<File>,
    /// The picture of `mask`.
    pub mask: Option<File>,
}

/// A file of a form.
#[derive(Clone, Debug)]
pub struct File {
    /// What it is called where it comes from; empty when it has no name.
    pub name: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Reads a whole form, and the digest of all that came: two forms with different boundaries may be the same.
pub async fn read(request: Request) -> Result<(Form, Sha256), Refusal> {
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|_| {
        Refusal::wrong_media_type("send the form as 'content-type: multipart/form-data'")
    })?;
    let mut read = Form::default();
    let mut all = Vec::new();
    let mut fields = 0;
    while let Some(field) = form.next_field().await.map_err(broken)? {
        fields += 1;
        if fields > MAX_FIELDS {
            let message = format!("the form has more than {MAX_FIELDS} fields");
            return Err(Refusal::bad("invalid_form", message));
        }
        let name = field.name().unwrap_or_default().to_owned();
        let base = name.split('[').next().unwrap_or_default().to_owned();
        all.extend(name.as_bytes());
        all.push(0);
        match base.as_str() {
            "image" | "mask" => {
                let file = File {
                    name: field.file_name().unwrap_or_default().to_owned(),
                    bytes: bounded(field, &base, MAX_REFERENCE_BYTES).await?,
                };
                all.extend(digest(&file.bytes).0);
                take(&mut read, &base, file)?;
            }
            "markup" => {
                let message = "notes drawn over a picture are not read here: leave it out";
                return Err(Refusal::field("markup", message));
            }
            _ => {
                let bytes = bounded(field, &base, MAX_TEXT_BYTES).await?;
                all.extend(digest(&bytes).0);
                let text = String::from_utf8(bytes.into());
                let text = text.map_err(|_| Refusal::field(&base, "is not UTF-8"))?;
                read.texts.push((name, text));
            }
        }
    }
    Ok((read, digest(&all)))
}

fn take(form: &mut Form, base: &str, file: File) -> Result<(), Refusal> {
    if base == "mask" {
        return match form.mask.replace(file) {
            None => Ok(()),
            Some(_) => Err(Refusal::field("mask", "comes twice")),
        };
    }
    if form.images.len() == MAX_REFERENCES {
        let message = format!("more than {MAX_REFERENCES} pictures: that is as many as are read");
        return Err(Refusal::field("image", message));
    }
    form.images.push(file);
    Ok(())
}

/// The bytes of a field, read as long as they are not too many.
async fn bounded(mut field: Field<'_>, name: &str, most: usize) -> Result<Bytes, Refusal> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        if bytes.len() + chunk.len() > most {
            let message = format!("has more than {most} bytes");
            return Err(Refusal::field(name, message));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn broken(error: MultipartError) -> Refusal {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Refusal::too_large(MAX_FORM_BYTES);
    }
    Refusal::bad("invalid_form", error.body_text())
}
