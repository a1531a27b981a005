//! Who looks at the page. Whoever is not logged in is sent to the login, and comes back from there.

use atelier_proto::TenantId;
use axum::{
    extract::FromRequestParts,
    http::{Method, StatusCode, request::Parts},
    response::{IntoResponse, Redirect, Response},
};

use super::frame;
use crate::http::{Api, caller::Caller, error::ApiError};

/// A tenant that is logged in.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Whose requests are shown.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
}

impl Visitor {
    /// A page that says what went wrong.
    pub fn wrong(&self, error: impl Into<ApiError>) -> Response {
        frame::wrong(&error.into(), Some(&self.name))
    }
}

impl FromRequestParts<Api> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Response> {
        let caller = match Caller::from_request_parts(parts, api).await {
            Ok(caller) => caller,
            Err(error) if error.status() == StatusCode::UNAUTHORIZED => {
                return Err(to_login(parts));
            }
            Err(error) => return Err(frame::wrong(&error, None)),
        };
        let name = api.farm.store.tenant_name(caller.tenant).await;
        Ok(Self {
            tenant: caller.tenant,
            name: name.map_err(|error| frame::wrong(&error.into(), None))?,
        })
    }
}

/// What the script asks for is answered as it is; people are sent to the login.
fn to_login(parts: &Parts) -> Response {
    let path = parts.uri.path();
    let is_part = path == "/gallery" || path.ends_with("/live");
    match parts.method {
        _ if is_part => StatusCode::UNAUTHORIZED.into_response(),
        Method::GET if path != "/" => Redirect::to(&format!("/login?next={path}")).into_response(),
        _ => Redirect::to("/login").into_response(),
    }
}
