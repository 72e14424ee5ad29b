//! Regular expressions: those of `regex-lite`, or, in a build without the feature `patterns`, none.

#[cfg(feature = "patterns")]
pub(crate) use regex_lite::Regex;
#[cfg(feature = "patterns")]
pub(crate) use regex_lite::RegexBuilder;

#[cfg(not(feature = "patterns"))]
pub(crate) use none::Regex;
#[cfg(not(feature = "patterns"))]
pub(crate) use none::RegexBuilder;

#[cfg(not(feature = "patterns"))]
mod none {
    /// A regular expression. There is none in this build.
    #[derive(Clone, Debug)]
    pub struct Regex(std::convert::Infallible);

    impl Regex {
        /// Never called: nobody has one.
        pub fn is_match(&self, _text: &str) -> bool {
            match self.0 {}
        }
    }

    /// Why no pattern is compiled.
    #[derive(Debug, thiserror::Error)]
    #[error("this build has no regular expressions")]
    pub(crate) struct Missing;

    /// Refuses every pattern.
    pub(crate) struct RegexBuilder;

    impl RegexBuilder {
        pub(crate) fn new(_source: &str) -> Self {
            Self
        }

        pub(crate) fn size_limit(&mut self, _bytes: usize) -> &mut Self {
            self
        }

        #[expect(clippy::unused_self, reason = "has the form of the real one")]
        pub(crate) fn build(&self) -> Result<Regex, Missing> {
            Err(Missing)
        }
    }
}
