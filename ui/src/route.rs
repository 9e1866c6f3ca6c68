//! The routes of the REST interface: one file per noun, each reads what it needs and lets a view
//! make the answer.

pub(crate) mod event;
pub(crate) mod experiment;
pub(crate) mod katib;
pub(crate) mod live;
pub(crate) mod log;
pub(crate) mod namespace;
pub(crate) mod trial;
