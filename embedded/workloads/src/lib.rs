//! What makes pods of workloads, over the API for one machine: what kube-controller-manager is to
//! a cluster.
//!
//! [`JobController`] makes the pods of Jobs. What is decided is pure; around it are thin steps that
//! change objects. Nothing here polls.

mod job;
mod object;

pub use self::job::JobController;
