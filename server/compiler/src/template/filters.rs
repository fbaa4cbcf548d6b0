//! Filters for sizes and addresses.

use ipnet::IpNet;
use minijinja::{Environment, Error, ErrorKind, Value};

/// Adds `percent_of`, `mib` and `cidr_host`.
pub(super) fn add(env: &mut Environment<'static>) {
    env.add_filter("percent_of", percent_of);
    env.add_filter("mib", mib);
    env.add_filter("cidr_host", cidr_host);
}

fn error(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}

/// `75 | percent_of(node.limits.memory_bytes)`: rounded down.
fn percent_of(percent: Value, whole: Value) -> Result<i64, Error> {
    let percent = whole_number("percent_of", percent)?;
    let whole = whole_number("percent_of", whole)?;
    let part = i128::from(percent) * i128::from(whole) / 100;
    i64::try_from(part).map_err(|_| error("percent_of: the result is too large"))
}

/// `node.limits.memory_bytes | mib`: rounded down.
fn mib(bytes: Value) -> Result<i64, Error> {
    whole_number("mib", bytes).map(|bytes| bytes >> 20)
}

fn whole_number(filter: &str, value: Value) -> Result<i64, Error> {
    if value.is_none() {
        let why = "a limit is none where there is no limit; test it with \"is none\" first";
        return Err(error(format!(
            "{filter} takes a whole number, not none: {why}"
        )));
    }
    let shown = value.to_string();
    i64::try_from(value).map_err(|_| error(format!("{filter} takes a whole number, not {shown}")))
}

/// `"10.1.0.0/16" | cidr_host(5)`: 10.1.0.5; negative numbers count from the last address.
fn cidr_host(range: &str, number: i64) -> Result<String, Error> {
    let net: IpNet = range.parse().map_err(|_| {
        error(format!(
            "cidr_host takes a range such as 10.0.0.0/8, not {range:?}"
        ))
    })?;
    let outside = || error(format!("cidr_host: {net} has no address number {number}"));
    let address = match net {
        IpNet::V4(net) => {
            let size = 1_i128 << (32 - net.prefix_len());
            let offset = offset(number, size).ok_or_else(outside)?;
            let bits = u128::from(u32::from(net.network())) + offset;
            u32::try_from(bits)
                .map_err(|_| outside())?
                .to_be_bytes()
                .into()
        }
        IpNet::V6(net) => {
            // A 64-bit number reaches only so far; larger ranges need no exact size.
            let size = 1_i128 << (128 - net.prefix_len()).min(100);
            let offset = offset(number, size)
                .filter(|_| number >= 0 || net.prefix_len() >= 28)
                .ok_or_else(outside)?;
            std::net::IpAddr::from((u128::from(net.network()) + offset).to_be_bytes())
        }
    };
    Ok(address.to_string())
}

fn offset(number: i64, size: i128) -> Option<u128> {
    let number = i128::from(number);
    let offset = if number < 0 { size + number } else { number };
    (offset < size)
        .then(|| u128::try_from(offset).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(expression: &str) -> Result<String, Error> {
        let mut env = Environment::new();
        add(&mut env);
        env.compile_expression(expression)?
            .eval(())
            .map(|value| value.to_string())
    }

    #[test]
    fn sizes_are_whole_numbers_rounded_down() {
        assert_eq!(eval("75 | percent_of(58720256)").unwrap(), "44040192");
        assert_eq!(eval("50 | percent_of(3)").unwrap(), "1");
        assert_eq!(eval("58720256 | mib").unwrap(), "56");
        assert!(
            eval("none | mib")
                .unwrap_err()
                .to_string()
                .contains("no limit")
        );
        assert!(eval("50 | percent_of(none)").is_err());
    }

    #[test]
    fn a_host_of_a_range_is_counted_from_either_end() {
        assert_eq!(eval("'10.1.2.3/16' | cidr_host(5)").unwrap(), "10.1.0.5");
        assert_eq!(
            eval("'10.1.0.0/16' | cidr_host(-1)").unwrap(),
            "10.1.255.255"
        );
        assert_eq!(eval("'fd00::/64' | cidr_host(16)").unwrap(), "fd00::10");
        assert_eq!(eval("'0.0.0.0/0' | cidr_host(1)").unwrap(), "0.0.0.1");
        assert_eq!(eval("'::/0' | cidr_host(1)").unwrap(), "::1");
        for bad in [
            "'10.0.0.0/30' | cidr_host(4)",
            "'10.0.0.0/30' | cidr_host(-5)",
            "'x' | cidr_host(1)",
            "'::/0' | cidr_host(-1)",
        ] {
            assert!(eval(bad).is_err(), "{bad}");
        }
    }
}
