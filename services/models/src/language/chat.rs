//! Dialogs as the text that a model was trained on: the checkpoint's own Jinja template, run with bounds.

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value, context, syntax::SyntaxConfig};

use super::LanguageError;

/// Longest template, in bytes.
const MAX_TEMPLATE: usize = 256 << 10;
/// Most steps of a template's run; a dialog of some messages takes some hundreds.
const MAX_STEPS: u64 = 200_000;
/// Longest content of all messages together, in bytes.
const MAX_CONTENT: usize = 1 << 20;
/// Longest text that is made, in bytes.
const MAX_TEXT: usize = 4 << 20;

/// One turn of a dialog.
#[derive(Debug, Clone)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: &'static str,
    /// What is said.
    pub content: String,
}

/// A checkpoint's template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    /// What templates call `bos_token` and `eos_token`.
    begin: String,
    end: String,
    thinking: bool,
}

impl ChatTemplate {
    const NAME: &'static str = "chat";

    /// Compiles a template.
    pub fn new(template: &str) -> Result<Self, LanguageError> {
        if template.len() > MAX_TEMPLATE {
            return Err(LanguageError::Template(format!(
                "{} bytes, at most {MAX_TEMPLATE} are read",
                template.len()
            )));
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        // As transformers runs templates.
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(syntax.map_err(wrong)?);
        environment.set_fuel(Some(MAX_STEPS));
        environment.set_unknown_method_callback(|_, value, method, arguments| {
            text_method(value, method, arguments)
        });
        environment.add_function(
            "raise_exception",
            |message: String| -> Result<String, minijinja::Error> {
                Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment
            .add_template_owned(Self::NAME, template.to_owned())
            .map_err(wrong)?;
        Ok(Self {
            environment,
            begin: String::new(),
            end: String::new(),
            thinking: false,
        })
    }

    /// With the tokens that begin and end texts, as they are written out.
    pub fn with_tokens(mut self, begin: &str, end: &str) -> Self {
        self.begin = begin.to_owned();
        self.end = end.to_owned();
        self
    }

    /// Whether the model thinks before it answers, where its template knows of that; it does not unless told to.
    pub fn with_thinking(mut self, thinking: bool) -> Self {
        self.thinking = thinking;
        self
    }

    /// The text of a dialog; `answer` opens the assistant's turn at its end.
    pub fn render(&self, messages: &[Message], answer: bool) -> Result<String, LanguageError> {
        let length: usize = messages.iter().map(|message| message.content.len()).sum();
        if length > MAX_CONTENT {
            return Err(LanguageError::Template(format!(
                "messages of {length} bytes, at most {MAX_CONTENT} are read"
            )));
        }
        let template = self.environment.get_template(Self::NAME).map_err(wrong)?;
        let turn = |message: &Message| context! { role => message.role, content => message.content.as_str() };
        let messages: Value = messages.iter().map(turn).collect();
        let values = context! {
            messages, add_generation_prompt => answer, enable_thinking => self.thinking,
            bos_token => self.begin.as_str(), eos_token => self.end.as_str(),
        };
        let mut text = Bounded(Vec::new());
        template
            .render_captured_to(values, &mut text)
            .map_err(wrong)?;
        String::from_utf8(text.0).map_err(|error| LanguageError::Template(error.to_string()))
    }
}

/// Python's methods of texts that templates call.
fn text_method(
    value: &Value,
    method: &str,
    arguments: &[Value],
) -> Result<Value, minijinja::Error> {
    let argument = arguments.first().and_then(Value::as_str);
    let (Some(text), true) = (value.as_str(), arguments.is_empty() || argument.is_some()) else {
        return Err(ErrorKind::UnknownMethod.into());
    };
    let stripped = |c: char| argument.map_or(c.is_whitespace(), |set| set.contains(c));
    Ok(match (method, argument) {
        ("startswith", Some(start)) => text.starts_with(start).into(),
        ("endswith", Some(end)) => text.ends_with(end).into(),
        ("split", Some(by)) if !by.is_empty() => text.split(by).map(Value::from).collect(),
        ("strip", _) => text.trim_matches(stripped).into(),
        ("lstrip", _) => text.trim_start_matches(stripped).into(),
        ("rstrip", _) => text.trim_end_matches(stripped).into(),
        _ => return Err(ErrorKind::UnknownMethod.into()),
    })
}

/// Takes no more than [`MAX_TEXT`] bytes, so that a template cannot fill the memory with few steps.
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_TEXT {
            return Err(std::io::Error::other(format!(
                "it makes more than {MAX_TEXT} bytes"
            )));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn wrong(error: minijinja::Error) -> LanguageError {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    LanguageError::Template(text)
}

#[cfg(test)]
mod tests;
