//! The log as it is published: its signed head, its entries, its hashes. What is read here is checked
//! by whoever reads it, against the head.

use dockmaster_client::Call;
use dockmaster_proto::route::Route;
use dockmaster_tlog::{
    checkpoint::Checkpoint,
    hash::Hash,
    tile::{EntriesId, EntryBundle, HashTile, TILE_WIDTH, TileId, node_location},
    tree::RightEdge,
};

use super::{
    error::{CliError, chain},
    remote::Remote,
};

/// A head of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedHead {
    /// What it says.
    pub(crate) checkpoint: Checkpoint,
    /// The signed text.
    pub(crate) note: String,
}

/// Fetches the newest head.
///
/// # Errors
/// When there is none, or the log's key did not sign it.
pub(crate) async fn head(remote: &mut Remote) -> Result<SignedHead, CliError> {
    let note = remote
        .find_bytes(&Call::new(Route::Checkpoint))
        .await?
        .ok_or_else(|| CliError::failed("the master publishes no checkpoint", ""))?;
    let note = String::from_utf8(note)
        .map_err(|_| CliError::failed("the checkpoint is not UTF-8 text", ""))?;
    open(remote, note)
}

/// Takes a head that came by another way.
///
/// # Errors
/// When the log's key did not sign it.
pub(crate) fn open(remote: &Remote, note: String) -> Result<SignedHead, CliError> {
    let checkpoint = Checkpoint::open(&note, remote.log_key()).map_err(|error| {
        CliError::failed(
            format!("the head of the log cannot be trusted: {}", chain(&error)),
            "is the context of this master's own installation? its log key must have signed the head",
        )
    })?;
    Ok(SignedHead { checkpoint, note })
}

/// Fetches the entries of a bundle; where a partial one is gone because it filled up meanwhile, the
/// full one has them too.
///
/// # Errors
/// When the master does not have them.
pub(crate) async fn bundle(remote: &mut Remote, id: EntriesId) -> Result<EntryBundle, CliError> {
    for width in [id.width(), TILE_WIDTH] {
        let Ok(id) = EntriesId::new(id.index(), width) else {
            break;
        };
        let path = id.path();
        if let Some(bytes) = file(remote, &path).await? {
            return EntryBundle::parse(&bytes, width).map_err(|error| {
                CliError::because(format!("the entries of {path} cannot be read"), &error, "")
            });
        }
    }
    Err(missing(&id.path()))
}

/// The right edge of the log at `position`, from the hash tiles of the log at `size`. Not checked: it
/// is right if the root that grows from it is the signed one.
///
/// # Errors
/// When the master does not have the tiles.
pub(crate) async fn edge(
    remote: &mut Remote,
    position: u64,
    size: u64,
) -> Result<RightEdge, CliError> {
    let mut hashes = Vec::new();
    let mut start = 0;
    while let Some(level) = (position - start).checked_ilog2() {
        hashes.push(node(remote, level, start >> level, size).await?);
        start += 1 << level;
    }
    RightEdge::from_parts(position, hashes)
        .map_err(|error| CliError::because("the tree cannot be rebuilt", &error, ""))
}

async fn node(remote: &mut Remote, level: u32, index: u64, size: u64) -> Result<Hash, CliError> {
    let place = u8::try_from(level).ok().and_then(|level| {
        let at = node_location(level, index)?;
        Some((at, TileId::in_tree(at.tile_level, at.tile_index, size)?))
    });
    let Some((at, id)) = place else {
        return Err(CliError::failed(
            format!("the log of {size} entries has no node {index} at level {level}"),
            "",
        ));
    };
    for width in [id.width(), TILE_WIDTH] {
        let Ok(id) = TileId::new(id.level(), id.index(), width) else {
            break;
        };
        let path = id.path();
        if let Some(bytes) = file(remote, &path).await? {
            let tile = HashTile::parse(&bytes, width).map_err(|error| {
                CliError::because(format!("the hashes of {path} cannot be read"), &error, "")
            })?;
            return tile
                .subtree(at.offset, at.height)
                .ok_or_else(|| missing(&path));
        }
    }
    Err(missing(&id.path()))
}

async fn file(remote: &mut Remote, path: &str) -> Result<Option<Vec<u8>>, CliError> {
    let parameter = path.strip_prefix("tile/").unwrap_or(path);
    remote
        .find_bytes(&Call::new(Route::Tile).parameter(parameter))
        .await
}

fn missing(path: &str) -> CliError {
    CliError::failed(
        format!("the master does not have {path}"),
        "without it the log cannot be verified; see \"dockmaster serve\"'s own log",
    )
}
