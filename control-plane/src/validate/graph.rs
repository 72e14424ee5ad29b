//! References that must not lead back to where they began.

use std::collections::BTreeMap;

/// What is wrong with a chain of references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The keys of a circle, its first one again at the end.
    Circle(Vec<String>),
    /// A chain is longer than is allowed.
    TooLong,
}

/// Walks references depth first. Each key is walked once, however many ways lead to it.
pub(crate) struct Walk<'g, E> {
    edges: E,
    longest: usize,
    open: Vec<&'g str>,
    /// Length of the longest chain from a key.
    done: BTreeMap<&'g str, usize>,
}

impl<'g, E: Fn(&str) -> Vec<&'g str>> Walk<'g, E> {
    /// A walk from `from`, whose own references are given to [`Walk::follow`] one by one.
    pub(crate) fn new(from: &'g str, longest: usize, edges: E) -> Self {
        Self { edges, longest, open: vec![from], done: BTreeMap::new() }
    }

    /// Follows one reference to its ends; answers how many steps the longest chain has.
    pub(crate) fn follow(&mut self, key: &'g str) -> Result<usize, Fault> {
        if let Some(at) = self.open.iter().position(|open| *open == key) {
            let circle = self.open[at..].iter().chain([&key]);
            return Err(Fault::Circle(circle.map(|key| (*key).to_owned()).collect()));
        }
        if let Some(length) = self.done.get(key) {
            return self.within(*length);
        }
        if self.open.len() > self.longest {
            return Err(Fault::TooLong);
        }
        self.open.push(key);
        let mut longest = 0;
        for next in (self.edges)(key) {
            match self.follow(next) {
                Ok(length) => longest = longest.max(length),
                Err(fault) => {
                    self.open.pop();
                    return Err(fault);
                }
            }
        }
        self.open.pop();
        self.done.insert(key, longest + 1);
        self.within(longest + 1)
    }

    fn within(&self, length: usize) -> Result<usize, Fault> {
        if self.open.len() - 1 + length > self.longest { Err(Fault::TooLong) } else { Ok(length) }
    }
}

impl Fault {
    /// Code and words of the problem.
    pub(crate) fn describe(&self, longest: usize) -> (&'static str, String) {
        match self {
            Self::Circle(keys) => ("cycle", format!("leads back to itself: {}", keys.join(" → "))),
            Self::TooLong => ("too_deep", format!("begins a chain of more than {longest}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Walk};

    fn follow(edges: &[(&'static str, &'static str)], longest: usize) -> Result<usize, Fault> {
        let next =
            |key: &str| edges.iter().filter(|(from, _)| *from == key).map(|(_, to)| *to).collect();
        Walk::new("start", longest, next).follow("a")
    }

    #[test]
    fn the_longest_chain_is_measured() {
        assert_eq!(follow(&[], 9), Ok(1));
        assert_eq!(follow(&[("a", "b"), ("a", "c"), ("b", "c"), ("c", "d")], 9), Ok(4));
    }

    #[test]
    fn circles_are_named() {
        let circle = follow(&[("a", "b"), ("b", "c"), ("c", "b")], 9);
        assert_eq!(circle, Err(Fault::Circle(["b", "c", "b"].map(str::to_owned).to_vec())));
        let back = follow(&[("a", "start")], 9);
        assert_eq!(back, Err(Fault::Circle(["start", "a", "start"].map(str::to_owned).to_vec())));
    }

    #[test]
    fn long_chains_are_refused_also_by_a_second_way() {
        let edges = [("a", "b"), ("b", "c"), ("c", "d"), ("a", "c")];
        assert_eq!(follow(&edges, 4), Ok(4));
        assert_eq!(follow(&edges, 3), Err(Fault::TooLong));
    }

    #[test]
    fn a_dense_net_is_walked_in_no_time() {
        let names: Vec<String> = (0..30).map(|i| format!("{i:02}")).collect();
        let next = |key: &str| {
            names.iter().map(String::as_str).filter(|name| *name > key).collect::<Vec<_>>()
        };
        // Two to the thirtieth ways lead through it.
        assert_eq!(Walk::new("start", 40, next).follow("00"), Ok(30));
    }
}
