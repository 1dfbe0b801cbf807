//! What the writes do to the key packages of one owner, inside the store's transaction.
//!
//! Serials grow, so the oldest package goes out first. The hashes of packages outlive them: a
//! publication that is repeated because its answer was lost adds nothing, and a package that has
//! been handed out is not handed out again.

use bytes::Bytes;
use redb::ReadableTable;
use sha2::{Digest, Sha256};
use tincan_protocol::ids::{QueueId, TokenHash};
use tincan_protocol::limits::KEY_PACKAGES_MAX;

use super::tables::Tables;
use super::{Refused, StoreError, Written, token};

/// Hashes remembered per owner. Chosen: a dozen full stocks.
const PACKAGE_IDS_MAX: usize = 256;

/// The serial of the last-resort package.
const LAST_RESORT: u64 = 0;
const FIRST: u64 = 1;

/// Adds packages. Key packages carry a lifetime, so when there are too many the newest stay.
pub(super) fn publish(
    tables: &mut Tables<'_>,
    owner: &QueueId,
    token: &TokenHash,
    packages: &[Bytes],
    last_resort: Option<&Bytes>,
) -> Result<Written, StoreError> {
    let id = owner.as_bytes();
    let mut next = tables
        .owners
        .get(id)?
        .map_or(FIRST, |guard| guard.value().1);
    for package in packages {
        next = add(tables, owner, next, package)?;
    }
    tables.owners.insert(id, (token.as_bytes(), next))?;
    if let Some(package) = last_resort {
        tables
            .packages
            .insert((id, LAST_RESORT), package.as_ref())?;
    }
    trim(tables, owner)?;
    stock(tables, owner)
}

/// Takes the oldest single-use package, or shows the last-resort one.
pub(super) fn take(
    tables: &mut Tables<'_>,
    owner: &QueueId,
    presented: &TokenHash,
) -> Result<Written, StoreError> {
    let id = owner.as_bytes();
    let stored = tables.owners.get(id)?.map(|guard| *guard.value().0);
    if !token::fits(stored.as_ref(), presented) {
        return Ok(Written::Refused(Refused::Unauthorized));
    }
    if let Some(serial) = serials(tables, owner)?.first() {
        let taken = tables.packages.remove((id, *serial))?;
        if let Some(package) = taken {
            return Ok(Written::Package(Bytes::copy_from_slice(package.value())));
        }
    }
    Ok(match tables.packages.get((id, LAST_RESORT))? {
        Some(package) => Written::Package(Bytes::copy_from_slice(package.value())),
        None => Written::Refused(Refused::NoKeyPackage),
    })
}

/// Adds one package unless it is known, and returns the next serial.
fn add(
    tables: &mut Tables<'_>,
    owner: &QueueId,
    serial: u64,
    package: &Bytes,
) -> Result<u64, StoreError> {
    let id = owner.as_bytes();
    let hash: [u8; 32] = Sha256::digest(package).into();
    for known in tables.package_ids.range((id, FIRST)..=(id, u64::MAX))? {
        if *known?.1.value() == hash {
            return Ok(serial);
        }
    }
    tables.package_ids.insert((id, serial), &hash)?;
    tables.packages.insert((id, serial), package.as_ref())?;
    Ok(serial.saturating_add(1))
}

/// Drops the oldest packages and hashes above their bounds.
fn trim(tables: &mut Tables<'_>, owner: &QueueId) -> Result<(), StoreError> {
    let id = owner.as_bytes();
    let waiting = serials(tables, owner)?;
    for serial in waiting
        .iter()
        .take(waiting.len().saturating_sub(KEY_PACKAGES_MAX))
    {
        tables.packages.remove((id, *serial))?;
    }
    let known = tables
        .package_ids
        .range((id, FIRST)..=(id, u64::MAX))?
        .count();
    let surplus = known.saturating_sub(PACKAGE_IDS_MAX);
    let oldest = tables
        .package_ids
        .extract_from_if((id, FIRST)..=(id, u64::MAX), |_, _| true)?;
    for removed in oldest.take(surplus) {
        removed?;
    }
    Ok(())
}

fn stock(tables: &Tables<'_>, owner: &QueueId) -> Result<Written, StoreError> {
    let single_use = u32::try_from(serials(tables, owner)?.len()).unwrap_or(u32::MAX);
    let last_resort = tables
        .packages
        .get((owner.as_bytes(), LAST_RESORT))?
        .is_some();
    Ok(Written::Stock {
        single_use,
        last_resort,
    })
}

/// Serials of the single-use packages that wait, ascending.
fn serials(tables: &Tables<'_>, owner: &QueueId) -> Result<Vec<u64>, StoreError> {
    let id = owner.as_bytes();
    let waiting = tables.packages.range((id, FIRST)..=(id, u64::MAX))?;
    waiting.map(|row| Ok(row?.0.value().1)).collect()
}
