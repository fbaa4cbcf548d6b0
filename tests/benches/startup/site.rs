//! The site that is deployed: `examples/hello`.

/// Where the class `hello` writes the application's configuration.
pub(crate) const CONFIG: &str = "/etc/hello/hello.conf";
