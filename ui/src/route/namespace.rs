//! Routes of namespaces.

use axum::extract::State;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt, api::ListParams};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    App,
    access::Caller,
    error::{ApiError, ErrorBody},
    extract::Json,
};

/// The namespaces that there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct NamespaceList {
    /// Their names, sorted.
    pub items: Vec<String>,
}

/// Lists the names of the namespaces whose experiments the caller may list.
#[utoipa::path(
    get,
    path = "/namespaces",
    operation_id = "listNamespaces",
    responses(
        (status = 200, body = NamespaceList),
        (status = "default", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<NamespaceList>, ApiError> {
    let namespaces = Api::<Namespace>::all(app.client)
        .list(&ListParams::default())
        .await?;
    let names = namespaces.iter().map(ResourceExt::name_any).collect();
    let mut items = Vec::from_iter(caller.seen(names).await?);
    items.sort();
    Ok(Json(NamespaceList { items }))
}
