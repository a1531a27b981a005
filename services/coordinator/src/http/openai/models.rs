//! `GET /v1/models` and `GET /v1/models/{model}`: a farm has one model.

use atelier_proto::openai::{Model, ModelList};
use axum::{
    Json,
    extract::{Path, State},
};

use super::{
    super::{Api, caller::Caller, error::ApiError},
    Refusal,
};

/// Answers the farm's model as a list.
pub async fn list(
    State(api): State<Api>,
    caller: Result<Caller, ApiError>,
) -> Result<Json<ModelList>, Refusal> {
    caller?;
    Ok(Json(ModelList {
        object: "list".to_owned(),
        data: vec![model(&api.farm.model)],
    }))
}

/// Answers the farm's model, if that is the one in the path.
pub async fn show(
    State(api): State<Api>,
    caller: Result<Caller, ApiError>,
    name: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Result<Json<Model>, Refusal> {
    caller?;
    let name = name.map_or_else(|_| String::new(), |Path(name)| name);
    if name != *api.farm.model {
        return Err(Refusal::no_model(&name, &api.farm.model));
    }
    Ok(Json(model(&name)))
}

fn model(name: &str) -> Model {
    Model {
        id: name.to_owned(),
        object: "model".to_owned(),
        created: 0,
        owned_by: "atelier".to_owned(),
    }
}
