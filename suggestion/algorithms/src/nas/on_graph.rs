//! Lets an algorithm for flat spaces fill a graph.

use diwan_api::search_space::Value;

use super::Graph;
use crate::{Designer, Memo, Problem, Refusal, Suggested, Trial};

/// The designer of a problem: of its parameters, or of its graph if it has one, laid out flat.
pub(crate) fn on_graph(
    problem: &Problem,
    build: impl Fn(&Problem) -> Result<Box<dyn Designer>, Refusal>,
) -> Result<Box<dyn Designer>, Refusal> {
    if problem.nas.is_none() {
        return build(problem);
    }
    let graph = Graph::parse(problem.nas.as_ref())?;
    let flat = Problem {
        space: graph.space(),
        nas: None,
        ..problem.clone()
    };
    let inner = build(&flat)?;
    Ok(Box::new(OnGraph { graph, inner }))
}

struct OnGraph {
    graph: Graph,
    inner: Box<dyn Designer>,
}

impl OnGraph {
    fn flat(&self, trials: &[Trial]) -> Vec<Trial> {
        let flat = |trial: &Trial| Trial {
            values: self.graph.read(trial).map_or_else(Vec::new, known),
            texts: Vec::new(),
            ..trial.clone()
        };
        trials.iter().map(flat).collect()
    }

    fn on_graph(&self, mut suggested: Suggested) -> Suggested {
        for proposal in &mut suggested.proposals {
            proposal.texts = self.graph.print(&std::mem::take(&mut proposal.values));
        }
        suggested
    }
}

fn known(values: Vec<Value>) -> Vec<Option<Value>> {
    values.into_iter().map(Some).collect()
}

impl Designer for OnGraph {
    fn needs_history(&self) -> bool {
        self.inner.needs_history()
    }

    fn observe(&mut self, completed: &[Trial], active: &[Trial]) {
        let (completed, active) = (self.flat(completed), self.flat(active));
        self.inner.observe(&completed, &active);
    }

    fn observe_further(&mut self, completed: &[Trial], active: &[Trial], memo: &mut Memo) {
        let (completed, active) = (self.flat(completed), self.flat(active));
        self.inner.observe_further(&completed, &active, memo);
    }

    fn suggest(&mut self, count: usize) -> Result<Suggested, Refusal> {
        let suggested = self.inner.suggest(count)?;
        Ok(self.on_graph(suggested))
    }

    fn suggest_while(
        &mut self,
        count: usize,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Suggested, Refusal> {
        let suggested = self.inner.suggest_while(count, is_wanted)?;
        Ok(self.on_graph(suggested))
    }
}
