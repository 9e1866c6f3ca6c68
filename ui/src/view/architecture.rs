//! Architectures as graphs, in the language of Graphviz.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;

/// What `nn_config` says of the operations that an architecture names.
#[derive(Deserialize)]
struct Decoder {
    embedding: BTreeMap<String, Operation>,
}

#[derive(Deserialize)]
struct Operation {
    opt_type: String,
    #[serde(default)]
    opt_params: BTreeMap<String, Value>,
}

impl Operation {
    fn parameter(&self, name: &str) -> Option<String> {
        match self.opt_params.get(name)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// In the words of Katib's page.
    fn label(&self) -> String {
        let kind = match self.opt_type.as_str() {
            "convolution" => "conv",
            "separable_convolution" => "sep_conv",
            "depthwise_convolution" => "depth_conv",
            "reduction" => "pooling",
            other => other,
        };
        let reduction = self.parameter("reduction_type");
        let size = self
            .parameter("filter_size")
            .or_else(|| self.parameter("pool_size"));
        let mut label = size.map_or_else(String::new, |size| format!("{size}x{size} "));
        label.push_str(reduction.as_deref().unwrap_or(kind));
        if let Some(channels) = self.parameter("num_filter") {
            let _ = write!(label, "\n{channels} channels");
        }
        label
    }
}

/// The network that `enas` proposes: layers one after the other, with connections that skip some.
/// `None` where the texts say something else.
pub(crate) fn of_layers(architecture: &str, nn_config: &str) -> Option<String> {
    let rows: Vec<Vec<u64>> = serde_json::from_str(architecture).ok()?;
    // The algorithm writes ' for ", so that the texts fit into templates.
    let decoder: Decoder = serde_json::from_str(&nn_config.replace('\'', "\"")).ok()?;
    let mut graph = Graph::default();
    graph.node("Input");
    for (layer, row) in rows.iter().enumerate() {
        let (operation, skips) = row.split_first()?;
        graph.node(&decoder.embedding.get(&operation.to_string())?.label());
        graph.edge(layer, layer + 1, "");
        for (from, _) in skips.iter().enumerate().filter(|(_, skip)| **skip == 1) {
            graph.edge(from, layer + 1, "");
        }
    }
    for label in ["GlobalAvgPool", "FullConnect\nSoftmax", "Output"] {
        graph.node(label);
        graph.edge(graph.nodes.len() - 2, graph.nodes.len() - 1, "");
    }
    Some(graph.text())
}

/// The cells that a trial of `darts` has found, as it reports them:
/// `Genotype(normal=[[('max_pooling_3x3', 0), …], …], …, reduce=[…], …)`. `None` where the text says
/// something else.
pub(crate) fn of_cells(genotype: &str) -> Option<String> {
    let mut graph = Graph::default();
    for cell in ["normal", "reduce"] {
        let (_, text) = genotype.split_once(&format!("{cell}=["))?;
        if text.starts_with(']') {
            // A network of few layers has no cell of this kind.
            continue;
        }
        let (text, _) = text.split_once("]]")?;
        let begin = graph.nodes.len();
        graph.node(&format!("{cell}: c_(k-2)"));
        graph.node(&format!("{cell}: c_(k-1)"));
        let nodes = text.split(']').map(pairs).collect::<Option<Vec<_>>>()?;
        for (place, inputs) in nodes.iter().enumerate() {
            graph.node(&place.to_string());
            for (operation, from) in inputs {
                // The two cells before, and the nodes before.
                if *from >= place + 2 {
                    return None;
                }
                graph.edge(begin + from, begin + 2 + place, operation);
            }
        }
        graph.node(&format!("{cell}: c_k"));
        for place in 0..nodes.len() {
            graph.edge(begin + 2 + place, graph.nodes.len() - 1, "");
        }
    }
    Some(graph.text())
}

/// What lies in a list such as `[('skip_connection', 0), ('max_pooling_3x3', 1)`.
fn pairs(text: &str) -> Option<Vec<(&str, usize)>> {
    let pairs = text.split('(').skip(1).map(|pair| {
        let (operation, from) = pair.split_once(',')?;
        let from = from.split_once(')')?.0.trim().parse().ok()?;
        Some((operation.trim().trim_matches(['\'', '"']), from))
    });
    pairs.collect()
}

/// A directed graph; nodes are named by their place.
#[derive(Default)]
struct Graph {
    nodes: Vec<String>,
    edges: Vec<(usize, usize, String)>,
}

impl Graph {
    fn node(&mut self, label: &str) {
        self.nodes.push(label.to_owned());
    }

    fn edge(&mut self, from: usize, to: usize, label: &str) {
        self.edges.push((from, to, label.to_owned()));
    }

    fn text(&self) -> String {
        let mut text = "digraph G {\n".to_owned();
        // Writing to a String can't fail.
        for (from, to, label) in &self.edges {
            let _ = match label.as_str() {
                "" => writeln!(text, "\t{from}->{to};"),
                label => writeln!(text, "\t{from}->{to} [ label={} ];", quoted(label)),
            };
        }
        for (place, label) in self.nodes.iter().enumerate() {
            let _ = writeln!(text, "\t{place} [ label={} ];", quoted(label));
        }
        text.push_str("\n}\n");
        text
    }
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "{'num_layers': 2, 'embedding': {\
        '3': {'opt_id': 3, 'opt_type': 'convolution', \
              'opt_params': {'filter_size': '5', 'num_filter': '32'}}, \
        '0': {'opt_id': 0, 'opt_type': 'reduction', \
              'opt_params': {'reduction_type': 'max_pooling', 'pool_size': 2}}}}";

    #[test]
    fn layers_are_a_chain_with_connections_that_skip() {
        let expected = "digraph G {\n\t0->1;\n\t1->2;\n\t0->2;\n\t2->3;\n\t3->4;\n\t4->5;\n\
            \t0 [ label=\"Input\" ];\n\t1 [ label=\"5x5 conv\\n32 channels\" ];\n\
            \t2 [ label=\"2x2 max_pooling\" ];\n\t3 [ label=\"GlobalAvgPool\" ];\n\
            \t4 [ label=\"FullConnect\\nSoftmax\" ];\n\t5 [ label=\"Output\" ];\n\n}\n";
        assert_eq!(
            of_layers("[[3], [0, 1]]", CONFIG).as_deref(),
            Some(expected)
        );
    }

    #[test]
    fn cells_have_their_operations_on_the_edges() {
        let genotype = "Genotype(normal=[[('skip_connection',0),('max_pooling_3x3',1)],\
            [('max_pooling_3x3',2),('skip_connection',0)]],normal_concat=range(2,4),\
            reduce=[[('dilated_convolution_3x3', 0)]],reduce_concat=range(2,3))";
        let graph = of_cells(genotype).unwrap();
        for line in [
            "\t0->2 [ label=\"skip_connection\" ];",
            "\t1->2 [ label=\"max_pooling_3x3\" ];",
            "\t2->3 [ label=\"max_pooling_3x3\" ];",
            "\t3->4;",
            "\t4 [ label=\"normal: c_k\" ];",
            "\t5->7 [ label=\"dilated_convolution_3x3\" ];",
        ] {
            assert!(
                graph.lines().any(|found| found == line),
                "{line} in {graph}"
            );
        }
    }

    #[test]
    fn other_texts_are_no_graphs() {
        assert_eq!(of_layers("", CONFIG), None);
        assert_eq!(of_layers("[[7]]", CONFIG), None);
        assert_eq!(of_layers("[[]]", CONFIG), None);
        assert_eq!(of_layers("[[3]]", "{}"), None);
        assert_eq!(of_cells("0.93"), None);
    }
}
