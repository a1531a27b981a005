//! The request that a user means: a whole id, `last`, or the beginning or end of an id.

use anyhow::{Context, Result, anyhow};
use atelier_proto::{
    RequestId,
    http::{RequestSummary, RequestView},
};

use super::{Client, LONGEST_PAGE, Refused, Wanted};
use crate::{exit::Usage, show};

/// Fewest characters of an id that stand for it.
const SHORTEST: usize = 4;
/// An id that is at most so many typing errors away is offered instead.
const TYPING_ERRORS: usize = 4;

impl Client {
    /// The request that `text` names, as it stands. Says which others are near when there is none.
    pub async fn find(&self, text: &str) -> Result<RequestView> {
        let text = text.trim().to_ascii_lowercase();
        if text == "last" {
            let newest = self.newest(1).await?.into_iter().next();
            let newest =
                newest.context("this farm has no requests yet: 'atelier submit' makes one")?;
            return self.view(newest.id).await;
        }
        if let Ok(id) = text.parse::<RequestId>() {
            return match self.view(id).await {
                Err(error) if is_unknown(&error) => Err(self.suggest(&text, error).await),
                result => result,
            };
        }
        if !is_part(&text) {
            return Err(Usage(format!(
                "{text:?} is not the id of a request: give the id, its first or last {SHORTEST} characters or more, or 'last'; 'atelier list' shows them"
            ))
            .into());
        }
        let mut found = self.newest(LONGEST_PAGE).await?;
        found.retain(|request| {
            let id = request.id.to_string();
            id.starts_with(&text) || id.ends_with(&text)
        });
        match &found[..] {
            [one] => self.view(one.id).await,
            [] => {
                let none = format!(
                    "none of the newest {LONGEST_PAGE} requests has an id that begins or ends with {text}; 'atelier list' shows them"
                );
                Err(anyhow!(none))
            }
            several => {
                let lines: Vec<String> = several.iter().take(8).map(candidate).collect();
                let message = format!(
                    "{text} may be any of\n{}\ngive more of the id",
                    lines.join("\n")
                );
                Err(Usage(message).into())
            }
        }
    }

    async fn newest(&self, limit: u32) -> Result<Vec<RequestSummary>> {
        let wanted = Wanted {
            limit,
            ..Wanted::default()
        };
        Ok(self.list(wanted).await?.requests)
    }

    /// Adds the nearest known id to the error of an unknown one.
    async fn suggest(&self, text: &str, error: anyhow::Error) -> anyhow::Error {
        let known = self.newest(LONGEST_PAGE).await.unwrap_or_default();
        let distance =
            |request: &RequestSummary| strsim::osa_distance(text, &request.id.to_string());
        let nearest = known
            .iter()
            .map(|request| (distance(request), request))
            .min_by_key(|(distance, _)| *distance)
            .filter(|(distance, _)| *distance <= TYPING_ERRORS);
        match nearest {
            Some((_, request)) => {
                anyhow!("{error}\ndid you mean this one?\n{}", candidate(request))
            }
            None => anyhow!("{error}\n'atelier list' shows those that there are"),
        }
    }
}

fn candidate(request: &RequestSummary) -> String {
    format!("  {}  {}", request.id, show::short(&request.prompt, 50))
}

fn is_unknown(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<Refused>();
    refused.is_some_and(Refused::is_unknown)
}

/// Whether this may be a piece of an id.
fn is_part(text: &str) -> bool {
    (SHORTEST..36).contains(&text.len()) && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_ids() {
        for part in ["a302", "0190-", "b302099a8057"] {
            assert!(is_part(part), "{part}");
        }
        for no in ["", "abc", "latest", "01890a5d-ac96-774b-bcce-b302099a8057"] {
            assert!(!is_part(no), "{no}");
        }
    }
}
