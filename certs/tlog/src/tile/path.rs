//! The `N[.p/W]` part of a path: the index in groups of three digits, and the width of a partial tile.

use super::TILE_WIDTH;
use crate::decimal::parse_u64;

/// Groups that the largest 64-bit index needs.
const MAX_GROUPS: usize = 7;

pub(super) fn place(index: u64, width: u16) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < TILE_WIDTH {
        path.push_str(&format!(".p/{width}"));
    }
    path
}

pub(super) fn parse_place(path: &str) -> Option<(u64, u16)> {
    let (index, width) = match path.split_once(".p/") {
        Some((index, width)) => (index, u16::try_from(parse_u64(width)?).ok()?),
        None => (path, TILE_WIDTH),
    };
    let index = parse_index(index)?;
    // One spelling only: this refuses `.p/256`, and a needless leading group of zeros.
    let place_again = place(index, width);
    (place_again == path && width > 0).then_some((index, width))
}

fn parse_index(path: &str) -> Option<u64> {
    let mut groups = path.splitn(MAX_GROUPS + 1, '/').peekable();
    let mut index: u64 = 0;
    for _ in 0..MAX_GROUPS {
        let Some(group) = groups.next() else { break };
        let digits = if groups.peek().is_some() {
            group.strip_prefix('x')?
        } else {
            group
        };
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    // An eighth group would be left over.
    groups.next().is_none().then_some(index)
}
