//! What makes pods of workloads, over the API for one machine: what kube-controller-manager is to
//! a cluster.
//!
//! [`Controllers`] runs one for each kind. What is decided is pure; around it are thin steps that
//! change objects. Nothing here polls.

mod claim;
mod controllers;
mod deployment;
mod driver;
mod endpoints;
mod job;
mod object;
mod proxy;
mod replica;
mod replica_set;
mod storage;
mod template;
mod write;

pub use self::controllers::Controllers;
