//! The Kubernetes API for one machine: objects in SQLite, served to `kube::Client` in process and
//! to `kubectl` and any other client over TLS.
//!
//! [`Api`] is the API below HTTP, [`service`] the same over HTTP requests without a socket.

mod access;
pub mod address;
mod admission;
mod api;
mod browser_auth;
mod conversion;
pub mod cron;
mod custom;
mod default;
mod discovery;
pub mod event;
mod event_view;
mod garbage;
mod go;
mod host_check;
mod json_path;
mod kubeconfig;
mod listener;
mod metadata;
mod openapi;
mod ownership;
mod patch;
mod pod_streams;
mod pod_usage;
mod private_file;
pub mod quantity;
pub mod resource;
mod rest;
mod review;
mod schema;
mod selector;
mod status;
pub mod storage_class;
mod store;
mod table;
mod tls;
mod validate;
mod watch;

pub use self::{
    access::{Bound, IssuedToken, TokenOrder, User},
    api::{
        Admission, Api, DeleteOptions, Deletion, LogOptions, Operation, Options, PodLogs,
        Propagation, Subresource,
    },
    browser_auth::BrowserAuth,
    host_check::Hosts,
    kubeconfig::write_kubeconfig,
    listener::{listen, serve},
    pod_streams::{ExecOptions, PodStreams, Reader, Session, Writer},
    pod_usage::{Measured, PodUsage, Usage},
    resource::Resource,
    rest::{Service, service},
    selector::Selector,
    status::{Cause, Status},
    store::OpenError,
    tls::{Credentials, CredentialsError},
    watch::WatchEvent,
};
