//! What of a KatibConfig has no meaning where pods are processes of one machine.

use diwan_algorithms::{find, find_early_stopping};

use super::{AlgorithmConfig, KatibConfig, Source};

impl KatibConfig {
    /// The fields that nothing on one machine follows: those of `init`, the collectors' containers,
    /// since collectors are part of the control plane, and images of built-in algorithms.
    pub fn unused_on_one_machine(&self) -> Vec<String> {
        let init = self.init.iter().map(|field| format!("init.{field}"));
        let collectors = self
            .collectors
            .iter()
            .map(|collector| format!("runtime.metricsCollectors[{:?}]", collector.kind));
        let suggestions = images(&self.suggestions, |name| find(name).is_some())
            .map(|name| format!("runtime.suggestions[{name}].image"));
        let stoppings = images(&self.early_stoppings, |name| {
            find_early_stopping(name).is_some()
        })
        .map(|name| format!("runtime.earlyStoppings[{name}].image"));
        init.chain(collectors)
            .chain(suggestions)
            .chain(stoppings)
            .collect()
    }
}

/// The algorithms that an image is named for although they are built in.
fn images(
    algorithms: &[AlgorithmConfig],
    is_built_in: impl Fn(&str) -> bool,
) -> impl Iterator<Item = &str> {
    algorithms
        .iter()
        .filter(|algorithm| matches!(algorithm.source, Source::Image(_)))
        .map(|algorithm| algorithm.algorithm_name.as_str())
        .filter(move |name| is_built_in(name))
}

#[cfg(test)]
mod tests {
    use crate::config::parse_katib_config;

    #[test]
    fn what_nothing_follows_is_named() {
        let config = parse_katib_config(
            "apiVersion: config.kubeflow.org/v1beta1\nkind: KatibConfig\n\
             init: {controller: {webhookPort: 1}}\n\
             runtime:\n  metricsCollectors: [{kind: File, image: f}]\n\
             \x20 suggestions:\n  - {algorithmName: random, image: r}\n\
             \x20 - {algorithmName: tpe, endpoint: 'localhost:1'}\n\
             \x20 - {algorithmName: mine, image: m}\n\
             \x20 earlyStoppings: [{algorithmName: medianstop, image: e}]\n",
        )
        .unwrap();
        assert_eq!(
            config.unused_on_one_machine(),
            [
                "init.controller.webhookPort",
                "runtime.metricsCollectors[File]",
                "runtime.suggestions[random].image",
                "runtime.earlyStoppings[medianstop].image",
            ]
        );
    }
}
