//! openmls' storage trait on top of a [`Transaction`].
//!
//! The trait is long because it names every entity; what is done with each is the same. Proposals
//! are kept as openmls asks for them: a list of references per group and a row for each proposal.

use openmls_rust_crypto::RustCrypto;
use openmls_traits::OpenMlsProvider;
use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};
use serde::Serialize;
use serde_json::Value;

use crate::rows::{Changes, RowError, Rows, Table, Transaction};

const V: u16 = CURRENT_VERSION;

/// What openmls needs for one operation: cryptography, randomness and a transaction.
pub(crate) struct Provider<'a> {
    crypto: &'a RustCrypto,
    transaction: Transaction<'a>,
}

impl<'a> Provider<'a> {
    pub(crate) fn new(crypto: &'a RustCrypto, rows: &'a Rows) -> Self {
        Self {
            crypto,
            transaction: rows.begin(),
        }
    }

    /// Ends the operation; what it wrote.
    pub(crate) fn into_changes(self) -> Changes {
        self.transaction.into_changes()
    }
}

impl<'a> OpenMlsProvider for Provider<'a> {
    type CryptoProvider = RustCrypto;
    type RandProvider = RustCrypto;
    type StorageProvider = Transaction<'a>;

    fn storage(&self) -> &Self::StorageProvider {
        &self.transaction
    }

    fn crypto(&self) -> &Self::CryptoProvider {
        self.crypto
    }

    fn rand(&self) -> &Self::RandProvider {
        self.crypto
    }
}

impl Transaction<'_> {
    fn append(
        &self,
        table: Table,
        key: &impl Serialize,
        item: &impl Serialize,
    ) -> Result<(), RowError> {
        let mut list: Vec<Value> = self.read(table, key)?.unwrap_or_default();
        list.push(table.value(item)?);
        self.write(table, key, &list)
    }
}

/// Writer, reader and deleter of an entity that a group has one of.
macro_rules! one_per_group {
    ($table:ident, $entity:ident, $write:ident, $read:ident, $delete:ident) => {
        fn $write<G: traits::GroupId<V>, E: traits::$entity<V>>(
            &self,
            group: &G,
            entity: &E,
        ) -> Result<(), RowError> {
            self.write(Table::$table, group, entity)
        }

        fn $read<G: traits::GroupId<V>, E: traits::$entity<V>>(
            &self,
            group: &G,
        ) -> Result<Option<E>, RowError> {
            self.read(Table::$table, group)
        }

        fn $delete<G: traits::GroupId<V>>(&self, group: &G) -> Result<(), RowError> {
            self.delete(Table::$table, group)
        }
    };
}

/// Writer, reader and deleter of an entity with a key of its own. openmls' reader names its type
/// parameters in one order or the other.
macro_rules! keyed {
    ($table:ident, $key:ident, $entity:ident, $write:ident, $read:ident<$($order:ident),*>, $delete:ident) => {
        fn $write<$key: traits::$key<V>, $entity: traits::$entity<V>>(
            &self,
            key: &$key,
            entity: &$entity,
        ) -> Result<(), RowError> {
            self.write(Table::$table, key, entity)
        }

        fn $read<$($order: traits::$order<V>),*>(&self, key: &$key) -> Result<Option<$entity>, RowError> {
            self.read(Table::$table, key)
        }

        fn $delete<$key: traits::$key<V>>(&self, key: &$key) -> Result<(), RowError> {
            self.delete(Table::$table, key)
        }
    };
}

impl StorageProvider<V> for Transaction<'_> {
    type Error = RowError;

    one_per_group!(
        JoinConfig,
        MlsGroupJoinConfig,
        write_mls_join_config,
        mls_group_join_config,
        delete_group_config
    );
    one_per_group!(Tree, TreeSync, write_tree, tree, delete_tree);
    one_per_group!(
        InterimTranscriptHash,
        InterimTranscriptHash,
        write_interim_transcript_hash,
        interim_transcript_hash,
        delete_interim_transcript_hash
    );
    one_per_group!(
        Context,
        GroupContext,
        write_context,
        group_context,
        delete_context
    );
    one_per_group!(
        ConfirmationTag,
        ConfirmationTag,
        write_confirmation_tag,
        confirmation_tag,
        delete_confirmation_tag
    );
    one_per_group!(
        MessageSecrets,
        MessageSecrets,
        write_message_secrets,
        message_secrets,
        delete_message_secrets
    );
    one_per_group!(
        ResumptionPsks,
        ResumptionPskStore,
        write_resumption_psk_store,
        resumption_psk_store,
        delete_all_resumption_psk_secrets
    );
    one_per_group!(
        OwnLeafIndex,
        LeafNodeIndex,
        write_own_leaf_index,
        own_leaf_index,
        delete_own_leaf_index
    );
    one_per_group!(
        EpochSecrets,
        GroupEpochSecrets,
        write_group_epoch_secrets,
        group_epoch_secrets,
        delete_group_epoch_secrets
    );

    keyed!(
        KeyPackage,
        HashReference,
        KeyPackage,
        write_key_package,
        key_package<HashReference, KeyPackage>,
        delete_key_package
    );
    keyed!(
        SignatureKeyPair,
        SignaturePublicKey,
        SignatureKeyPair,
        write_signature_key_pair,
        signature_key_pair<SignaturePublicKey, SignatureKeyPair>,
        delete_signature_key_pair
    );
    keyed!(
        EncryptionKeyPair,
        EncryptionKey,
        HpkeKeyPair,
        write_encryption_key_pair,
        encryption_key_pair<HpkeKeyPair, EncryptionKey>,
        delete_encryption_key_pair
    );
    keyed!(Psk, PskId, PskBundle, write_psk, psk<PskBundle, PskId>, delete_psk);

    fn write_group_state<S: traits::GroupState<V>, G: traits::GroupId<V>>(
        &self,
        group: &G,
        state: &S,
    ) -> Result<(), RowError> {
        self.write(Table::GroupState, group, state)
    }

    fn group_state<S: traits::GroupState<V>, G: traits::GroupId<V>>(
        &self,
        group: &G,
    ) -> Result<Option<S>, RowError> {
        self.read(Table::GroupState, group)
    }

    fn delete_group_state<G: traits::GroupId<V>>(&self, group: &G) -> Result<(), RowError> {
        self.delete(Table::GroupState, group)
    }

    fn append_own_leaf_node<G: traits::GroupId<V>, L: traits::LeafNode<V>>(
        &self,
        group: &G,
        leaf: &L,
    ) -> Result<(), RowError> {
        self.append(Table::OwnLeafNodes, group, leaf)
    }

    fn own_leaf_nodes<G: traits::GroupId<V>, L: traits::LeafNode<V>>(
        &self,
        group: &G,
    ) -> Result<Vec<L>, RowError> {
        Ok(self.read(Table::OwnLeafNodes, group)?.unwrap_or_default())
    }

    fn delete_own_leaf_nodes<G: traits::GroupId<V>>(&self, group: &G) -> Result<(), RowError> {
        self.delete(Table::OwnLeafNodes, group)
    }

    fn queue_proposal<
        G: traits::GroupId<V>,
        R: traits::ProposalRef<V>,
        P: traits::QueuedProposal<V>,
    >(
        &self,
        group: &G,
        reference: &R,
        proposal: &P,
    ) -> Result<(), RowError> {
        self.write(Table::Proposal, &(group, reference), proposal)?;
        self.append(Table::ProposalRefs, group, reference)
    }

    fn queued_proposal_refs<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        group: &G,
    ) -> Result<Vec<R>, RowError> {
        Ok(self.read(Table::ProposalRefs, group)?.unwrap_or_default())
    }

    fn queued_proposals<
        G: traits::GroupId<V>,
        R: traits::ProposalRef<V>,
        P: traits::QueuedProposal<V>,
    >(
        &self,
        group: &G,
    ) -> Result<Vec<(R, P)>, RowError> {
        let mut proposals = Vec::new();
        for reference in self.queued_proposal_refs::<G, R>(group)? {
            if let Some(proposal) = self.read(Table::Proposal, &(group, &reference))? {
                proposals.push((reference, proposal));
            }
        }
        Ok(proposals)
    }

    fn remove_proposal<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        group: &G,
        reference: &R,
    ) -> Result<(), RowError> {
        let removed = Table::ProposalRefs.value(reference)?;
        let mut list: Vec<Value> = self.read(Table::ProposalRefs, group)?.unwrap_or_default();
        list.retain(|kept| *kept != removed);
        self.write(Table::ProposalRefs, group, &list)?;
        self.delete(Table::Proposal, &(group, reference))
    }

    fn clear_proposal_queue<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        group: &G,
    ) -> Result<(), RowError> {
        for reference in self.queued_proposal_refs::<G, R>(group)? {
            self.delete(Table::Proposal, &(group, reference))?;
        }
        self.delete(Table::ProposalRefs, group)
    }

    fn write_encryption_epoch_key_pairs<
        G: traits::GroupId<V>,
        E: traits::EpochKey<V>,
        K: traits::HpkeKeyPair<V>,
    >(
        &self,
        group: &G,
        epoch: &E,
        leaf: u32,
        key_pairs: &[K],
    ) -> Result<(), RowError> {
        self.write(Table::EpochKeyPairs, &(group, epoch, leaf), key_pairs)
    }

    fn encryption_epoch_key_pairs<
        G: traits::GroupId<V>,
        E: traits::EpochKey<V>,
        K: traits::HpkeKeyPair<V>,
    >(
        &self,
        group: &G,
        epoch: &E,
        leaf: u32,
    ) -> Result<Vec<K>, RowError> {
        Ok(self
            .read(Table::EpochKeyPairs, &(group, epoch, leaf))?
            .unwrap_or_default())
    }

    fn delete_encryption_epoch_key_pairs<G: traits::GroupId<V>, E: traits::EpochKey<V>>(
        &self,
        group: &G,
        epoch: &E,
        leaf: u32,
    ) -> Result<(), RowError> {
        self.delete(Table::EpochKeyPairs, &(group, epoch, leaf))
    }
}

#[cfg(test)]
mod tests {
    use openmls::group::MlsGroup;
    use openmls::prelude::{BasicCredential, CredentialWithKey, KeyPackage, LeafNodeParameters};
    use tincan_protocol::keys::DeviceKey;

    use super::*;
    use crate::group_id::GroupId;
    use crate::mls::LeafSigner;
    use crate::suite;

    fn credential(key: &DeviceKey) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(Vec::new()).into(),
            signature_key: key.device().to_vec().into(),
        }
    }

    /// A group of one in rows, with two proposals waiting.
    fn group_with_proposals(rows: &mut Rows, crypto: &RustCrypto) -> MlsGroup {
        let provider = Provider::new(crypto, rows);
        let (key, other) = (
            DeviceKey::from_seed(&[1; 32]),
            DeviceKey::from_seed(&[2; 32]),
        );
        let added = KeyPackage::builder()
            .leaf_node_capabilities(suite::capabilities())
            .build(
                suite::SUITE,
                &provider,
                &LeafSigner(other.clone()),
                credential(&other),
            )
            .unwrap();
        let signer = LeafSigner(key.clone());
        let id = GroupId::random(crypto).unwrap().to_mls();
        let config = suite::create_config();
        let mut group =
            MlsGroup::new_with_group_id(&provider, &signer, &config, id, credential(&key)).unwrap();
        group
            .propose_add_member(&provider, &signer, added.key_package())
            .unwrap();
        group
            .propose_self_update(&provider, &signer, LeafNodeParameters::default())
            .unwrap();
        let changes = provider.into_changes();
        rows.apply(changes);
        group
    }

    #[test]
    fn proposals_are_listed_removed_and_cleared() {
        let (mut rows, crypto) = (Rows::default(), RustCrypto::default());
        let group = group_with_proposals(&mut rows, &crypto);
        let load = |rows: &Rows| {
            MlsGroup::load(&rows.begin(), group.group_id())
                .unwrap()
                .unwrap()
        };
        let mut loaded = load(&rows);
        let references: Vec<_> = loaded
            .pending_proposals()
            .map(|p| p.proposal_reference_ref().clone())
            .collect();
        assert_eq!(references.len(), 2);

        let transaction = rows.begin();
        loaded
            .remove_pending_proposal(&transaction, &references[0])
            .unwrap();
        let changes = transaction.into_changes();
        rows.apply(changes);
        let mut loaded = load(&rows);
        let left: Vec<_> = loaded
            .pending_proposals()
            .map(|p| p.proposal_reference_ref())
            .collect();
        assert_eq!(left, [&references[1]]);

        let transaction = rows.begin();
        loaded.clear_pending_proposals(&transaction).unwrap();
        let changes = transaction.into_changes();
        rows.apply(changes);
        assert_eq!(load(&rows).pending_proposals().count(), 0);
        assert_eq!(rows.keys(Table::Proposal).count(), 0);
        assert_eq!(rows.keys(Table::ProposalRefs).count(), 0);
    }

    #[test]
    fn a_deleted_group_takes_its_proposals_with_it() {
        let (mut rows, crypto) = (Rows::default(), RustCrypto::default());
        let mut group = group_with_proposals(&mut rows, &crypto);
        let transaction = rows.begin();
        group.delete(&transaction).unwrap();
        let changes = transaction.into_changes();
        rows.apply(changes);
        let left = [
            Table::Proposal,
            Table::ProposalRefs,
            Table::EpochKeyPairs,
            Table::Tree,
        ];
        assert!(left.iter().all(|table| rows.keys(*table).count() == 0));
    }
}
