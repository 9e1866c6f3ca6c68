//! What the page shows, made from the objects of the Kubernetes API. Nothing here performs I/O.

pub(crate) mod architecture;
pub(crate) mod condition;
pub(crate) mod curve;
pub(crate) mod event;
pub(crate) mod experiment;
pub(crate) mod live;
pub(crate) mod metric;
pub(crate) mod trial;
