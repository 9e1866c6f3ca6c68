//! Where the services of algorithms in images are.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

/// Tells the host of a Service by its namespace and name; nothing when it is not there.
pub type Locate = Arc<dyn Fn(&str, &str) -> Option<String> + Send + Sync>;

/// The host of a Service in a cluster: its name there.
pub fn by_name() -> Locate {
    Arc::new(|namespace, name| Some(format!("{name}.{namespace}")))
}

/// Where services in images are.
#[derive(Clone)]
pub(crate) struct Images {
    port: u16,
    locate: Locate,
}

impl Images {
    /// At this port of the hosts that `locate` tells.
    pub(crate) fn new(port: u16, locate: Locate) -> Self {
        Self { port, locate }
    }

    /// `host:port` of a Service.
    pub(crate) fn address(&self, namespace: &str, name: &str) -> Option<String> {
        let host = (self.locate)(namespace, name)?;
        Some(format!("{host}:{}", self.port))
    }
}

impl Debug for Images {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Images")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_where_it_is_told_to_be() {
        let images = Images::new(6789, by_name());
        assert_eq!(
            images.address("n", "e-mine").as_deref(),
            Some("e-mine.n:6789")
        );
        let nowhere = Images::new(6789, Arc::new(|_, _| None));
        assert_eq!(nowhere.address("n", "e-mine"), None);
    }
}
