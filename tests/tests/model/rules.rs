//! Rules that a model can be without, and what shows that each of them is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker as _, CheckerBuilder, Expectation, HasDiscoveries, Model};

/// Makes `Rule` of a list, and `MUTANTS`, so that no rule can be added that no test leaves out.
macro_rules! rules {
    ($bounds:ty: $($(#[$doc:meta])* $rule:ident in $within:expr => $property:expr;)*) => {
        /// What a model can be without.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Rule {
            $($(#[$doc])* $rule,)*
        }

        pub(super) const MUTANTS: &[crate::rules::Mutant<Rule, $bounds>] =
            &[$((Rule::$rule, $within, $property)),*];
    };
}
pub(crate) use rules;

/// A model without one rule, the bounds in which to look, and the property that must notice.
pub(crate) type Mutant<R, B> = (R, B, &'static str);

/// Each mutant is caught by its property, no promise is broken on ways as short as that when all rules
/// are kept, and each promise catches one.
pub(crate) fn each_is_missed<R, B, M>(mutants: &[Mutant<R, B>], model: impl Fn(B, Option<R>) -> M)
where
    R: Copy + Debug,
    B: Copy + Debug,
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + PartialEq,
{
    let mut wrong = Vec::new();
    for &(rule, bounds, property) in mutants {
        let until = HasDiscoveries::AllOf(BTreeSet::from([property]));
        let broken = broken_in(model(bounds, Some(rule)).checker().finish_when(until));
        println!("without {rule:?}, and after so many states: {broken:?}");
        let Some(&states) = broken.get(property) else {
            wrong.push(format!("{rule:?}: {broken:?} instead of {property}"));
            continue;
        };
        // The states of the depth that is given here are not looked at any more.
        let whole = model(bounds, None).checker().target_max_depth(states + 1);
        let broken = broken_in(whole.finish_when(HasDiscoveries::AnyFailures));
        if !broken.is_empty() {
            wrong.push(format!("{broken:?} with every rule, within {bounds:?}"));
        }
    }
    let caught: BTreeSet<_> = mutants.iter().map(|mutant| mutant.2).collect();
    let promises = promises(&model(mutants[0].1, None));
    let idle = promises.difference(&caught);
    wrong.extend(idle.map(|promise| format!("nothing is caught by {promise}")));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The promises that a search finds broken, and how many states lead there, the first and the last
/// included.
pub(crate) fn broken_in<M>(search: CheckerBuilder<M>) -> BTreeMap<&'static str, usize>
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + PartialEq,
{
    let checker = search.spawn_bfs().join();
    let promises = promises(checker.model());
    let found = checker.discoveries().into_iter();
    let broken = found.filter(|(name, _)| promises.contains(name));
    broken
        .map(|(name, path)| (name, path.into_states().len()))
        .collect()
}

fn promises<M: Model>(model: &M) -> BTreeSet<&'static str> {
    let properties = model.properties().into_iter();
    let promises =
        properties.filter(|property| matches!(property.expectation, Expectation::Always));
    promises.map(|property| property.name).collect()
}
