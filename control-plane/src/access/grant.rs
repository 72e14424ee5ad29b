//! A role in a project, or in all of them.

use super::Role;

/// What somebody may do where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The project; every project when absent.
    pub(crate) project_id: Option<String>,
    /// The role there.
    pub(crate) role: Role,
}

impl Grant {
    /// Whether it holds in a project.
    pub(crate) fn covers(&self, project_id: &str) -> bool {
        self.project_id.as_deref().is_none_or(|own| own == project_id)
    }
}

/// Which projects somebody reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Every project, also those that are made later.
    Everything,
    /// These projects, sorted; perhaps none.
    Projects(Vec<String>),
}

impl Reach {
    /// Where grants that a filter lets through hold.
    pub(crate) fn of(grants: &[Grant], wanted: impl Fn(Role) -> bool) -> Self {
        let mut projects = Vec::new();
        for grant in grants.iter().filter(|grant| wanted(grant.role)) {
            match &grant.project_id {
                None => return Self::Everything,
                Some(project) => projects.push(project.clone()),
            }
        }
        projects.sort();
        projects.dedup();
        Self::Projects(projects)
    }

    /// Whether a project is within it.
    pub(crate) fn includes(&self, project_id: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Projects(projects) => projects.iter().any(|own| own == project_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Grant, Reach};
    use crate::access::Role;

    fn grant(project: Option<&str>, role: Role) -> Grant {
        Grant { project_id: project.map(str::to_owned), role }
    }

    #[test]
    fn a_reach_is_where_the_wanted_roles_hold() {
        let grants = [
            grant(Some("b"), Role::Admin),
            grant(Some("a"), Role::Admin),
            grant(Some("c"), Role::Viewer),
        ];
        let admin = Reach::of(&grants, |role| role == Role::Admin);
        assert_eq!(admin, Reach::Projects(vec!["a".to_owned(), "b".to_owned()]));
        assert!(admin.includes("a") && !admin.includes("c"));
        assert_eq!(Reach::of(&[grant(None, Role::Viewer)], |_| true), Reach::Everything);
        assert_eq!(Reach::of(&grants, |role| role == Role::Data), Reach::Projects(Vec::new()));
    }
}
