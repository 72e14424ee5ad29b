//! The HTTP handlers of what a project's environments share, written once: layers, holdouts, segments and metrics
//! differ in their names and rules (`shared::Shared`) alone.

/// Defines the handlers of one kind, with their entries in the API's description. Reads like the table of its routes:
/// path, method, name of the handler, and the sentence that describes it.
macro_rules! shared_handlers {
    (
        $Definition:ident => $View:ident, tag = $tag:tt;
        $list_path:tt {
            #[doc = $create_doc:tt] post = $create:ident;
            #[doc = $list_doc:tt] get = $list:ident;
        }
        $item_path:tt {
            #[doc = $get_doc:tt] get = $get:ident;
            #[doc = $patch_doc:tt] patch = $patch:ident;
            #[doc = $delete_doc:tt] delete = $delete:ident;
        }
        $history_path:tt {
            #[doc = $history_doc:tt] get = $history:ident;
        }
        $rollback_path:tt {
            #[doc = $rollback_doc:tt] post = $rollback:ident;
        }
    ) => {
        #[doc = $create_doc]
        #[utoipa::path(post, path = $list_path, tag = $tag, request_body = $Definition,
            responses((status = 201, body = $View), (status = "4XX", body = crate::error::ProblemDocument)))]
        pub(crate) async fn $create(
            axum::extract::State(state): axum::extract::State<crate::state::AppState>,
            scope: crate::http::InProject,
            body: crate::http::Body<$Definition>,
        ) -> Result<axum::response::Response, crate::error::ApiError> {
            crate::api::shared::create(&state, &scope, body).await
        }

        #[doc = $list_doc]
        #[utoipa::path(get, path = $list_path, tag = $tag, params(crate::http::ListQuery),
            responses((status = 200, body = crate::api::answer::ListOf<$View>),
                (status = "4XX", body = crate::error::ProblemDocument)))]
        pub(crate) async fn $list(
            axum::extract::State(state): axum::extract::State<crate::state::AppState>,
            scope: crate::http::InProject,
            crate::http::Query(query): crate::http::Query<crate::http::ListQuery>,
            uri: axum::http::Uri,
        ) -> Result<axum::response::Response, crate::error::ApiError> {
            crate::api::shared::list::<$Definition>(&state, &scope, &query, &uri).await
        }

        #[doc = $get_doc]
        #[utoipa::path(get, path = $item_path, tag = $tag,
            responses((status = 200, body = $View), (status = "4XX", body = crate::error::ProblemDocument)))]
        pub(crate) async fn $get(
            axum::extract::State(state): axum::extract::State<crate::state::AppState>,
            scope: crate::http::InProject,
            crate::http::PathKey(key): crate::http::PathKey,
            _: crate::http::NoQuery,
        ) -> Result<axum::response::Response, crate::error::ApiError> {
            crate::api::shared::get::<$Definition>(&state, &scope, &key).await
        }

        #[doc = $patch_doc]
        #[utoipa::path(patch, path = $item_path, tag = $tag,
            params(crate::http::RequiredIfMatch),
            request_body(content = $Definition, content_type = "application/merge-patch+json"),
            responses((status = 200, body = $View), (status = "4XX", body = crate::error::ProblemDocument)))]
        pub(crate) async fn $patch(
            axum::extract::State(state): axum::extract::State<crate::state::AppState>,
            scope: crate::http::InProject,
            crate::http::PathKey(key): crate::http::PathKey,
            crate::http::RequiredIfMatch(condition): crate::http::RequiredIfMatch,
            patch: crate::http::MergePatch,
        ) -> Result<axum::response::Response, crate::error::ApiError> {
            crate::api::shared::patch::<$Definition>(&state, &scope, &key, &condition, patch).await
        }

        #[doc = $delete_doc]
        #[utoipa::path(delete, path = $item_path, tag = $tag,
            params(crate::http::RequiredIfMatch),
            responses((status = 204), (status = "4XX", body = crate::error::ProblemDocument)))]
        pub(crate) async fn $delete(
            axum::extract::State(state): axum::extract::State<crate::state::AppState>,
            scope: crate::http::InProject,
            crate::http::PathKey(key): crate::http::PathKey,
            crate::http::RequiredIfMatch(condition): crate::http::RequiredIfMatch,
            _: crate::http::NoQuery,
        ) -> Result<axum::response::Response, crate::error::ApiError> {
            crate::api::shared::delete::<$Definition>(&state, &scope, &key, &condition).await
        }

        #[doc = $history_doc]
        #[utoipa::path(get, path = $history_path, tag = $tag, params(crate::http::ListQuery),
            responses((status = 200, body = crate::api::answer::ListOf<crate::api::history::Version>),
                (status = "4XX", body = crate::error::ProblemDocument)))]
        pub(crate) async fn $history(
            axum::extract::State(state): axum::extract::State<crate::state::AppState>,
            scope: crate::http::InProject,
            crate::http::PathKey(key): crate::http::PathKey,
            crate::http::Query(query): crate::http::Query<crate::http::ListQuery>,
            uri: axum::http::Uri,
        ) -> Result<axum::response::Response, crate::error::ApiError> {
            crate::api::shared::history::<$Definition>(&state, &scope, &key, &query, &uri).await
        }

        #[doc = $rollback_doc]
        #[utoipa::path(post, path = $rollback_path, tag = $tag,
            request_body = crate::api::history::RollbackRequest,
            params(crate::http::IfMatch),
            responses((status = 200, body = $View), (status = "4XX", body = crate::error::ProblemDocument)))]
        pub(crate) async fn $rollback(
            axum::extract::State(state): axum::extract::State<crate::state::AppState>,
            scope: crate::http::InProject,
            crate::http::PathKey(key): crate::http::PathKey,
            condition: crate::http::IfMatch,
            body: crate::http::Body<crate::api::history::RollbackRequest>,
        ) -> Result<axum::response::Response, crate::error::ApiError> {
            let version = body.complete()?.version;
            crate::api::shared::roll_back::<$Definition>(&state, &scope, &key, &condition, version)
                .await
        }
    };
}

pub(crate) use shared_handlers;
