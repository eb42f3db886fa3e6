//! Every order in which some workers' accesses to the shared memory can happen, for the tests of the two protocols.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;

/// Memory and workers, between two accesses.
pub(crate) trait World: Clone + Debug + Eq + Hash {
    /// The worlds that one more access, of any worker, can lead to. None: all have ended.
    fn next(&self) -> Vec<Self>;

    /// Panics where something is wrong that must hold at every moment.
    fn check(&self, name: &str);
}

/// Goes through every world that can come. Each passes its check, and from each an end can be reached. The ends.
pub(crate) fn explore<W: World>(name: &str, first: W) -> Vec<W> {
    let mut numbers = HashMap::from([(first.clone(), 0_usize)]);
    let mut before: Vec<Vec<usize>> = vec![Vec::new()];
    let mut ends = Vec::new();
    let mut todo = vec![first];
    while let Some(world) = todo.pop() {
        world.check(name);
        let number = numbers[&world];
        let next = world.next();
        if next.is_empty() {
            ends.push((number, world));
            continue;
        }
        for after in next {
            let known = numbers.len();
            let at = *numbers.entry(after.clone()).or_insert(known);
            if at == known {
                before.push(Vec::new());
                todo.push(after);
            }
            before[at].push(number);
        }
    }
    // From where can an end be reached? From everywhere, or somebody is stuck.
    let mut reaches: HashSet<usize> = ends.iter().map(|(number, _)| *number).collect();
    let mut todo: Vec<usize> = reaches.iter().copied().collect();
    while let Some(number) = todo.pop() {
        todo.extend(before[number].iter().copied().filter(|earlier| reaches.insert(*earlier)));
    }
    assert_eq!(reaches.len(), numbers.len(), "{name}: from some worlds no end can be reached");
    assert!(numbers.len() > 20, "{name}: so few worlds are no exploration");
    ends.into_iter().map(|(_, world)| world).collect()
}
