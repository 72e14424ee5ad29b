//! What is asked of a peer.

use crate::model::{User, Work};

/// Decides one experiment and says whether the user is in it.
pub(crate) type DecideOne<P> = fn(&<P as Peer>::Config<'_>, &str, &<P as Peer>::User) -> bool;

/// Decides every experiment and says in how many the user is; none where the peer's answer does not tell.
pub(crate) type DecideAll<P> =
    fn(&<P as Peer>::Config<'_>, &[String], &<P as Peer>::User) -> Option<usize>;

/// An evaluator.
pub(crate) trait Peer: Sized + 'static {
    /// Name and version.
    const NAME: &'static str;
    /// What it evaluates against.
    type Config<'p>;
    /// A user, in the form that it wants.
    type User: 'static;
    /// What travels to it.
    fn payload(work: &Work) -> Vec<u8>;
    /// From what travels to what it evaluates against.
    fn load(payload: &[u8]) -> Self::Config<'_>;
    /// Prepares a user.
    fn user(user: &User) -> Self::User;
    /// The way to decide one experiment, with all of its answer.
    const ONE: Option<DecideOne<Self>>;
    /// Every way to decide all of them.
    const ALL: &'static [(&'static str, DecideAll<Self>)];
}
