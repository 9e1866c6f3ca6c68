//! Errors of the REST interface: one JSON shape for all.

use axum::{
    Json,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{ObservationError, ReviewError};

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The Kubernetes API refused or could not be reached.
    #[error(transparent)]
    Kube(#[from] kube::Error),
    /// The observation log can't be read.
    #[error(transparent)]
    Observations(#[from] ObservationError),
    /// The request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// It is not known who asks.
    #[error("{0}")]
    Unauthorized(String),
    /// Who asks may not do that.
    #[error("{0}")]
    Forbidden(String),
    /// It can't be found out whether who asks may do that.
    #[error(transparent)]
    Review(#[from] ReviewError),
    /// The body is of a kind that is not taken.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// What was asked for is not there.
    #[error("{0}")]
    NotFound(String),
}

/// The body of every error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ErrorDetail {
    /// The HTTP status.
    pub code: u16,
    /// What went wrong, in a sentence.
    pub message: String,
    /// Each field that is wrong; empty when the error is not about fields.
    pub causes: Vec<ErrorCause>,
}

/// One field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ErrorCause {
    /// Path of the field, such as `spec.objective`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl From<&ApiError> for ErrorDetail {
    fn from(error: &ApiError) -> Self {
        let plain = |code: StatusCode| Self {
            code: code.as_u16(),
            message: error.to_string(),
            causes: Vec::new(),
        };
        match error {
            ApiError::BadRequest(_) => plain(StatusCode::BAD_REQUEST),
            ApiError::Unauthorized(_) => plain(StatusCode::UNAUTHORIZED),
            ApiError::Forbidden(_) => plain(StatusCode::FORBIDDEN),
            ApiError::UnsupportedMediaType(_) => plain(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            ApiError::NotFound(_) => plain(StatusCode::NOT_FOUND),
            ApiError::Kube(kube::Error::Api(status)) => of_status(status),
            ApiError::Kube(_) | ApiError::Observations(_) | ApiError::Review(_) => {
                plain(StatusCode::BAD_GATEWAY)
            }
        }
    }
}

/// Passes on what the Kubernetes API said, field by field.
fn of_status(status: &kube::core::Status) -> ErrorDetail {
    let code = if (400..600).contains(&status.code) {
        status.code
    } else {
        502
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    ErrorDetail {
        code,
        message: status.message.clone(),
        causes: causes
            .map(|cause| ErrorCause {
                field: cause.field.clone(),
                message: cause.message.clone(),
            })
            .collect(),
    }
}

/// Answers for addresses of the REST interface that do not exist.
pub(crate) async fn unknown_address(uri: Uri) -> ApiError {
    ApiError::NotFound(format!("no such address: {}", uri.path()))
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let detail = ErrorDetail::from(&self);
        let code = StatusCode::from_u16(detail.code).unwrap_or(StatusCode::BAD_GATEWAY);
        if code.is_server_error() {
            tracing::warn!(error = %self, "request failed");
        }
        (code, Json(ErrorBody { error: detail })).into_response()
    }
}
