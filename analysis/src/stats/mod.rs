//! Sufficient statistics: the few numbers a method needs, and how they merge.
