//! From method and path to a route.

use std::sync::LazyLock;

use dockmaster_proto::{
    problem::{Problem, ProblemCode},
    route::{Route, percent_decode},
};
use http::Method;

/// One path may serve several methods.
static PATHS: LazyLock<matchit::Router<Vec<Route>>> = LazyLock::new(|| {
    let mut templates: Vec<&str> = Route::ALL.iter().map(|route| route.template()).collect();
    templates.sort_unstable();
    templates.dedup();
    let mut router = matchit::Router::new();
    for template in templates {
        let routes = Route::ALL
            .iter()
            .copied()
            .filter(|route| route.template() == template)
            .collect();
        // A conflict would be a fault of the table, which a test rules out; the route would not be found.
        if let Err(error) = router.insert(template, routes) {
            tracing::error!(template, %error, "a route cannot be served");
        }
    }
    router
});

pub(super) fn find(method: &Method, path: &str) -> Result<(Route, String), Problem> {
    let Ok(found) = PATHS.at(path) else {
        return Err(Problem::new(
            ProblemCode::NotFound,
            format!("there is no path {path:.200}"),
            "docs/api.md lists the routes",
        ));
    };
    // RFC 9110 section 9.3.2: what can be fetched can be asked about.
    let wanted = match *method {
        Method::HEAD => &Method::GET,
        _ => method,
    };
    let Some(route) = found
        .value
        .iter()
        .copied()
        .find(|route| route.method() == *wanted)
    else {
        let methods: Vec<String> = found
            .value
            .iter()
            .map(|route| route.method().to_string())
            .collect();
        return Err(Problem::new(
            ProblemCode::MethodNotAllowed,
            format!("{path:.200} takes {}, not {method}", methods.join(" or ")),
            "",
        ));
    };
    let parameter = found.params.iter().next().map_or("", |(_, value)| value);
    let parameter = percent_decode(parameter)
        .ok_or_else(|| super::problem::bad_request("the path is not percent-encoded UTF-8"))?;
    Ok((route, parameter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_by_its_own_path() {
        for route in Route::ALL {
            let (found, _) = find(&route.method(), &route.path("abc")).unwrap();
            assert_eq!(found, *route);
        }
    }

    #[test]
    fn a_wrong_method_or_path_is_told_apart() {
        assert_eq!(
            find(&Method::DELETE, "/v1/site").unwrap_err().code,
            ProblemCode::MethodNotAllowed
        );
        assert_eq!(
            find(&Method::GET, "/v1/sites").unwrap_err().code,
            ProblemCode::NotFound
        );
        assert_eq!(find(&Method::HEAD, "/healthz").unwrap().0, Route::Healthz);
        assert_eq!(find(&Method::GET, "/v1/nodes/a%2Fb").unwrap().1, "a/b");
    }
}
