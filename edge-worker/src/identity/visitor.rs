//! One request's visitor: the jar that came with it, and the experiments that concern it.

use eval_core::{Context, Decision, StickyExperiment};

use super::{ANONYMOUS_UNIT, Jar, sticky_experiments};
use crate::auth::Held;
use crate::request::Request;
use crate::response::Answer;
use crate::service::Service;

/// A visitor whose browser keeps our cookie, or is to keep it from now on.
pub(crate) struct Visitor<'c> {
    jar: Jar<'c>,
    sticky: Vec<StickyExperiment<'c>>,
}

impl<'c> Visitor<'c> {
    /// The visitor of a request: when a cookie is `wanted`, or when it sent one and none is refused. Adds to the context what the jar
    /// knows. An anonymous id that the request names counts, and the jar takes it over.
    pub(crate) fn of(
        service: &Service,
        held: &'c Held,
        request: &Request<'_>,
        wanted: Option<bool>,
        context: &mut Context<'c>,
    ) -> Option<Self> {
        if wanted == Some(false) || (wanted.is_none() && request.headers.cookie.is_none()) {
            return None;
        }
        let keys = held.environment.signing_keys(service.config())?;
        let mut jar = Jar::read(request.headers.cookie, &keys.cookie, request.now_ms);
        if !jar.is_known() && wanted.is_none() {
            return None;
        }
        match context.unit_id(ANONYMOUS_UNIT) {
            Some(named) => jar.adopt(named),
            None => jar.identify(service.random()),
        }
        let sticky = sticky_experiments(held.config.config());
        jar.recall(&sticky, context);
        Some(Self { jar, sticky })
    }

    /// The visitor's id.
    pub(crate) fn anonymous_id(&self) -> Option<&str> {
        self.jar.anonymous_id()
    }

    /// Keeps what a decision assigned.
    pub(crate) fn remember(&mut self, decision: &Decision<'_>) {
        self.jar.remember(&self.sticky, decision);
    }

    /// Adds the cookie to an answer, when it has changed.
    pub(crate) fn sign(&self, service: &Service, answer: Answer) -> Answer {
        match self.jar.set_cookie(service.config().cookie_domain.as_deref()) {
            Some(cookie) => answer.with("set-cookie", cookie),
            None => answer,
        }
    }
}
