//! Mathematics that several algorithms share.

pub(crate) mod cholesky;
pub(crate) mod lbfgs;
pub(crate) mod normal;
pub(crate) mod parzen;
pub(crate) mod stream;
