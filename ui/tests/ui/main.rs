//! The crate as a browser meets it: the whole router over a real Kubernetes API.

mod access;
mod katib;
mod live;
mod openapi;
mod page;
mod rest;
mod server;
