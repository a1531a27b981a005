//! The one call of Kubernetes' API that the farm makes: an annotation of a pod.

use std::{path::PathBuf, time::Duration};

use reqwest::{
    Certificate, Client, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    redirect::Policy,
};
use serde_json::json;
use tokio::io::AsyncReadExt;

/// The annotation by which a ReplicaSet chooses which pods go first: those with the smallest value.
const ANNOTATION: &str = "controller.kubernetes.io/pod-deletion-cost";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of an answer that are read; a pod has less, and an answer that is read to its end leaves its connection to the next call.
const MOST_ANSWER: usize = 2 << 20;
/// Most bytes of a file of the account.
const MOST_FILE: u64 = 1 << 20;

/// Whose pods are told, and how Kubernetes is reached.
#[derive(Clone, Debug)]
pub struct Access {
    /// What the names of workers' pods begin with.
    pub prefix: String,
    /// The API.
    pub server: Url,
    /// Folder with `token`, `ca.crt` and `namespace`.
    pub account: PathBuf,
}

/// Checks what pods' names are to begin with.
pub fn check_prefix(prefix: &str) -> Result<String, &'static str> {
    // Together with one more letter it is a name.
    match is_name(&format!("{prefix}a")) && !prefix.is_empty() {
        true => Ok(prefix.to_owned()),
        false => Err("must be the start of a pod's name"),
    }
}

/// Checks the address of the API: the token goes to nobody who cannot show a certificate.
pub fn check_server(url: &str) -> Result<Url, String> {
    let url: Url = url.parse().map_err(|error| format!("{error}"))?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    match url.scheme() == "https" && plain {
        true => Ok(url),
        false => Err("must begin with https:// and hold no user and no query".to_owned()),
    }
}

/// Whether Kubernetes can have a pod of this name: a DNS subdomain.
pub fn is_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Whether this is a DNS label, as names of namespaces are.
fn is_label(label: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = label.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|&byte| plain(byte) || byte == b'-')
        && plain(bytes[0])
        && plain(bytes[bytes.len() - 1])
}

/// Why a pod was not told.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// It is no pod, or not any more.
    #[error("there is no such pod")]
    Gone,
    /// The account may not.
    #[error("Kubernetes answers {0}: the account may not patch pods")]
    Refused(u16),
    /// Everything else; it may be written nevertheless.
    #[error("{0}")]
    Failed(String),
}

impl TellError {
    /// The word for it in metrics.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }
}

/// Kubernetes' API.
#[derive(Debug)]
pub struct Kubernetes {
    access: Access,
    /// A client, and the certificates that it believes.
    client: Option<(Vec<u8>, Client)>,
}

/// Some calls with one token.
#[derive(Debug)]
pub struct Session {
    client: Client,
    bearer: HeaderValue,
    pods: Url,
}

impl Kubernetes {
    /// Reads and calls nothing yet.
    pub fn new(access: Access) -> Self {
        Self {
            access,
            client: None,
        }
    }

    /// Reads the account's files anew: tokens last an hour, and certificates do not last for ever.
    pub async fn open(&mut self) -> Result<Session, TellError> {
        let authority = self.read("ca.crt").await?;
        let token = self.read_text("token").await?;
        let namespace = self.read_text("namespace").await?;
        if !is_label(&namespace) {
            return Err(TellError::Failed("namespace: is not one".to_owned()));
        }
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| TellError::Failed("token: is not one".to_owned()))?;
        bearer.set_sensitive(true);
        let mut pods = self.access.server.clone();
        if let Ok(mut path) = pods.path_segments_mut() {
            path.pop_if_empty()
                .extend(["api", "v1", "namespaces", &namespace, "pods"]);
        }
        Ok(Session {
            client: self.client(authority)?,
            bearer,
            pods,
        })
    }

    /// The client that believes nobody but this authority; the last one, as long as it is the same.
    fn client(&mut self, authority: Vec<u8>) -> Result<Client, TellError> {
        if let Some((of, client)) = &self.client
            && *of == authority
        {
            return Ok(client.clone());
        }
        let certificates = Certificate::from_pem_bundle(&authority).map_err(failed("ca.crt"))?;
        let client = Client::builder()
            .tls_certs_only(certificates)
            .no_proxy()
            .redirect(Policy::none())
            .timeout(PATIENCE)
            .user_agent(concat!("atelier/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(failed("ca.crt"))?;
        self.client = Some((authority, client.clone()));
        Ok(client)
    }

    async fn read(&self, name: &str) -> Result<Vec<u8>, TellError> {
        let path = self.access.account.join(name);
        let read = async {
            let mut bytes = Vec::new();
            let file = tokio::fs::File::open(&path).await?;
            file.take(MOST_FILE).read_to_end(&mut bytes).await?;
            Ok(bytes)
        };
        read.await.map_err(|error: std::io::Error| {
            TellError::Failed(format!("{}: {error}", path.display()))
        })
    }

    async fn read_text(&self, name: &str) -> Result<String, TellError> {
        let text = String::from_utf8(self.read(name).await?)
            .map_err(|_| TellError::Failed(format!("{name}: is no text")))?;
        Ok(text.trim().to_owned())
    }
}

impl Session {
    /// Writes a pod's cost. The name must be one of [`is_name`].
    pub async fn tell(&self, pod: &str, cost: u32) -> Result<(), TellError> {
        let mut url = self.pods.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(pod);
        }
        // Nothing but this changes, whatever else somebody writes at the same time.
        let patch = json!({"metadata": {"annotations": {ANNOTATION: cost.to_string()}}});
        let call = self
            .client
            .patch(url)
            .header(AUTHORIZATION, self.bearer.clone())
            .header(CONTENT_TYPE, "application/merge-patch+json")
            .header(ACCEPT, "application/json")
            .body(patch.to_string());
        let mut answer = call.send().await.map_err(failed("Kubernetes"))?;
        let status = answer.status().as_u16();
        let mut read = 0;
        while read < MOST_ANSWER
            && let Ok(Some(chunk)) = answer.chunk().await
        {
            read += chunk.len();
        }
        match status {
            200..=299 => Ok(()),
            404 => Err(TellError::Gone),
            401 | 403 => Err(TellError::Refused(status)),
            _ => Err(TellError::Failed(format!("Kubernetes answers {status}"))),
        }
    }
}

/// An error of the client with its causes.
fn failed(what: &'static str) -> impl FnOnce(reqwest::Error) -> TellError {
    move |error| {
        let error = anyhow::Error::from(error.without_url());
        TellError::Failed(format!("{what}: {error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_pods_name_gets_into_a_url() {
        let long = "a".repeat(64);
        for good in ["a", "farm-pool-gpu-7d9c6b-x2x4v", "a.b-c.0"] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            "A",
            "a_b",
            "-a",
            "a-",
            "a..b",
            ".",
            "..",
            "a/b",
            "a?b",
            "a#b",
            "a%2fb",
            "a b",
            "ä",
            "a\n",
            &long,
            &["a"; 128].join("."),
        ] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(is_name(&["a"; 127].join(".")));
    }

    #[test]
    fn prefixes_and_addresses_are_checked() {
        for good in ["farm-pool-", "a", "a.b-"] {
            assert_eq!(check_prefix(good).as_deref(), Ok(good));
        }
        for bad in ["", "-", "Farm-", "a/", "a..", ".."] {
            assert!(check_prefix(bad).is_err(), "{bad}");
        }
        for good in [
            "https://kubernetes.default.svc",
            "https://10.0.0.1:6443/cluster/",
        ] {
            assert!(check_server(good).is_ok(), "{good}");
        }
        for bad in [
            "http://127.0.0.1:8001",
            "https://me@host",
            "https://host/?a=b",
            "kubernetes",
        ] {
            assert!(check_server(bad).is_err(), "{bad}");
        }
    }
}
