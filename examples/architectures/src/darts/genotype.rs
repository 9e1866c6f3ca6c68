//! The cell that a search has chosen, as Katib's trial image writes it.

use std::fmt;
use std::str::FromStr;

use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

use super::Primitive;

/// Inputs that each node keeps.
pub(super) const KEPT: usize = 2;

/// The inputs of each node of a cell: an operation, and the number of the node that it reads. The
/// two cells before have the numbers 0 and 1.
pub type Gene = Vec<Vec<(Primitive, usize)>>;

/// A cell that keeps the size of maps, and one that halves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genotype {
    /// The one that keeps it.
    pub normal: Gene,
    /// The one that halves it; empty if the network has none.
    pub reduce: Gene,
}

impl Genotype {
    /// A cell that `seed` chooses: for each node two inputs and their operations, all as likely.
    pub fn random(primitives: &[Primitive], nodes: usize, reduces: bool, seed: u64) -> Self {
        let rng = &mut Pcg64Mcg::seed_from_u64(seed);
        let mut gene = |nodes: usize| {
            let node = |node: usize| {
                let mut inputs: Vec<usize> = (0..node + 2).collect();
                inputs.shuffle(rng);
                inputs.truncate(KEPT);
                inputs.sort_unstable();
                let edge = |input| (primitives[rng.random_range(0..primitives.len())], input);
                inputs.into_iter().map(edge).collect()
            };
            (0..nodes).map(node).collect()
        };
        Self {
            normal: gene(nodes),
            reduce: gene(if reduces { nodes } else { 0 }),
        }
    }

    /// How many edges do nothing, and how many edges there are.
    pub fn skips(&self) -> (usize, usize) {
        let edges = || self.normal.iter().chain(&self.reduce).flatten();
        let skips = edges().filter(|(p, _)| *p == Primitive::SkipConnection);
        (skips.count(), edges().count())
    }
}

impl fmt::Display for Genotype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gene = |gene: &Gene| {
            let edge = |(primitive, input): &(Primitive, usize)| format!("('{primitive}',{input})");
            let node = |node: &Vec<(Primitive, usize)>| {
                format!("[{}]", node.iter().map(edge).collect::<Vec<_>>().join(","))
            };
            format!("[{}]", gene.iter().map(node).collect::<Vec<_>>().join(","))
        };
        let range = format!("range(2,{})", self.normal.len() + 2);
        write!(
            f,
            "Genotype(normal={},normal_concat={range},reduce={},reduce_concat={range})",
            gene(&self.normal),
            gene(&self.reduce)
        )
    }
}

impl FromStr for Genotype {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let gene = |before: &str, after: &str| {
            let found = text
                .split_once(before)
                .and_then(|(_, rest)| rest.split_once(after));
            let (list, _) = found.ok_or_else(|| {
                "must be Genotype(normal=[…],normal_concat=…,reduce=[…],reduce_concat=…)".to_owned()
            })?;
            parse(list)
        };
        let normal = gene("normal=", ",normal_concat")?;
        if normal.is_empty() {
            return Err("normal: must have a node".to_owned());
        }
        let reduce = gene("reduce=", ",reduce_concat")?;
        Ok(Self { normal, reduce })
    }
}

/// Python's list of lists of pairs, as JSON's.
fn parse(list: &str) -> Result<Gene, String> {
    let json = list.replace('(', "[").replace(')', "]").replace('\'', "\"");
    let nodes: Vec<Vec<(String, usize)>> =
        serde_json::from_str(&json).map_err(|e| format!("{list} is no list of nodes: {e}"))?;
    let mut gene = Gene::new();
    for (node, edges) in nodes.into_iter().enumerate() {
        let edge = |(name, input): (String, usize)| {
            if input > node + 1 {
                return Err(format!(
                    "node {node}: reads {input}, which does not come before it"
                ));
            }
            Ok((name.parse()?, input))
        };
        gene.push(edges.into_iter().map(edge).collect::<Result<_, _>>()?);
        if gene[node].is_empty() {
            return Err(format!("node {node}: must read something"));
        }
    }
    Ok(gene)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "Genotype(normal=[[('max_pooling_3x3',0),('skip_connection',1)]],\
        normal_concat=range(2,3),reduce=[],reduce_concat=range(2,3))";

    #[test]
    fn a_genotype_is_written_as_katibs_image_does_and_read_again() {
        let genotype: Genotype = WRITTEN.parse().unwrap();
        assert_eq!(genotype.normal[0][0], (Primitive::MaxPooling(3), 0));
        assert_eq!(genotype.skips(), (1, 2));
        assert_eq!(genotype.to_string(), WRITTEN);
        let spaced = WRITTEN.replace(',', ", ");
        assert_eq!(spaced.parse::<Genotype>().unwrap(), genotype);
    }

    #[test]
    fn what_is_no_genotype_is_refused() {
        let cases = [
            ("Genotype()", "must be Genotype("),
            (&WRITTEN.replace(",1)", ",2)"), "node 0: reads 2"),
            (
                &WRITTEN.replace("max_", "least_"),
                "operation least_pooling_3x3",
            ),
            (&WRITTEN.replace(")]]", "]]"), "is no list of nodes"),
            (
                &WRITTEN.replace("[[('max_pooling_3x3',0),('skip_connection',1)]]", "[]"),
                "must have a node",
            ),
            (
                &WRITTEN.replace("[('max_pooling_3x3',0),('skip_connection',1)]", "[]"),
                "must read something",
            ),
        ];
        for (text, expected) in cases {
            let error = text.parse::<Genotype>().unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_seed_decides_a_random_genotype() {
        let primitives = [Primitive::SkipConnection, Primitive::MaxPooling(3)];
        let draw = |seed| Genotype::random(&primitives, 3, true, seed);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        for node in draw(3).normal.iter().chain(&draw(3).reduce) {
            assert_eq!(node.len(), 2);
            assert!(node[0].1 < node[1].1);
        }
        assert_eq!(draw(1).to_string().parse::<Genotype>().unwrap(), draw(1));
    }
}
