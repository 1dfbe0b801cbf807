//! Rules that a model can be without, and what shows that each of them is needed.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker as _, Expectation, HasDiscoveries, Model};

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

/// Each mutant is caught by its property, which the model with all its rules keeps within the same
/// bounds; and each property catches one.
pub(crate) fn each_is_missed<R, B, M>(mutants: &[Mutant<R, B>], model: impl Fn(B, Option<R>) -> M)
where
    R: Copy + Debug,
    B: Copy + Debug + PartialEq,
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + PartialEq,
{
    let mut wrong = Vec::new();
    let mut kept = Vec::new();
    for &(rule, bounds, property) in mutants {
        let until = HasDiscoveries::AllOf(BTreeSet::from([property]));
        let broken = broken_in(model(bounds, Some(rule)), until);
        println!("without {rule:?}: {broken:?}");
        if !broken.contains(property) {
            wrong.push(format!("{rule:?}: {broken:?} instead of {property}"));
        }
        if !kept.contains(&bounds) {
            let broken = broken_in(model(bounds, None), HasDiscoveries::AnyFailures);
            if !broken.is_empty() {
                wrong.push(format!("{broken:?} with every rule, within {bounds:?}"));
            }
            kept.push(bounds);
        }
    }
    let (_, bounds, _) = mutants[0];
    for property in promises(&model(bounds, None)) {
        if mutants.iter().all(|mutant| mutant.2 != property) {
            wrong.push(format!("no mutant is caught by {property}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The promises that a search finds broken, until it has found enough.
pub(crate) fn broken_in<M>(model: M, until: HasDiscoveries) -> BTreeSet<&'static str>
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + PartialEq,
{
    let promises = promises(&model);
    let checker = model.checker().finish_when(until).spawn_bfs().join();
    let found = checker.discoveries().into_keys();
    found.filter(|name| promises.contains(name)).collect()
}

fn promises<M: Model>(model: &M) -> BTreeSet<&'static str> {
    let properties = model.properties().into_iter();
    let promises =
        properties.filter(|property| matches!(property.expectation, Expectation::Always));
    promises.map(|property| property.name).collect()
}
