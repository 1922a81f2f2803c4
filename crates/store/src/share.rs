//! What contacts taken in together share: their campaign and what runs when somebody answers.

use domain::application::ApplicationSpec;
use domain::contact::{Contact, ContactRule, ContactState, NewContact};
use domain::ids::{AccountId, ApplicationId, CampaignId, ContactId};
use domain::region::Country;
use domain::retry::RetryRule;
use domain::terms::Terms;
use domain::time::Timestamp;
use sha2::{Digest, Sha256};

use crate::tx::Tx;
use crate::value::{queries, script_columns, values};
use crate::{StoreError, campaigns};

queries! {
    CAMPAIGN = "SELECT campaigns.id, campaigns.unique_references, accounts.country, \
        campaigns.redial_in_doubt \
        FROM campaigns JOIN accounts ON accounts.id = campaigns.account \
        WHERE campaigns.account = $1 AND campaigns.name = $2";
    CREATE_APPLICATION = "INSERT INTO applications \
        (account, spec_hash, source, script, parameters, dialect, detection) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) \
        ON CONFLICT (account, spec_hash) DO NOTHING RETURNING id";
    FIND_APPLICATION = "SELECT id FROM applications WHERE account = $1 AND spec_hash = $2";
}

/// What of a campaign matters to contacts that come into it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfCampaign {
    /// The campaign.
    pub campaign: CampaignId,
    /// Whether the campaign takes each reference in once.
    pub unique_references: bool,
    /// The country of its account, where it has one of its own.
    pub country: Option<Country>,
    /// Whether an attempt in doubt is repeated.
    pub redial_in_doubt: bool,
}

/// What contacts taken in together share, as rows hold it.
pub(crate) struct Shared {
    /// Their campaign.
    pub of_campaign: OfCampaign,
    /// What runs when somebody answers.
    pub application: ApplicationId,
    /// Not dialed before this moment.
    pub next_at: Timestamp,
    /// Whether that lies ahead.
    pub parked: bool,
}

/// Creates what contacts of a rule share, where it is new.
pub(crate) fn share(
    tx: &mut Tx<'_>,
    now: Timestamp,
    rule: &ContactRule,
) -> Result<Shared, StoreError> {
    let of_campaign = of_campaign(tx, now, rule)?;
    let application = application(tx, rule.account, &rule.application)?;
    let next_at = rule.window.opens_at.map_or(now, |opens_at| opens_at.max(now));
    Ok(Shared { of_campaign, application, next_at, parked: next_at > now })
}

/// The campaign of a rule, created where it is new.
fn of_campaign(
    tx: &mut Tx<'_>,
    now: Timestamp,
    rule: &ContactRule,
) -> Result<OfCampaign, StoreError> {
    if let Some(known) = tx.campaign_ahead(rule.account, &rule.campaign) {
        return Ok(known);
    }
    let find = |tx: &Tx<'_>| {
        let values = values![rule.account, rule.campaign.as_str()];
        tx.one(CAMPAIGN, values, |row| {
            Ok(OfCampaign {
                campaign: CampaignId(row.int()?),
                unique_references: row.flag()?,
                country: row.maybe_country()?,
                redial_in_doubt: row.flag()?,
            })
        })
    };
    let found = match find(tx)? {
        Some(found) => Some(found),
        None => {
            campaigns::named(tx, now, rule.account, &rule.campaign)?;
            find(tx)?
        }
    };
    let lost = || StoreError::Damaged("a campaign without a row".into());
    let found = found.ok_or_else(lost)?;
    tx.keep_campaign_ahead(rule.account, &rule.campaign, found);
    Ok(found)
}

/// A contact that [`crate::contacts::add`] has just taken in, as it would be read.
pub(crate) fn added(
    id: ContactId,
    now: Timestamp,
    shared: &Shared,
    rule: &ContactRule,
    new: &NewContact,
) -> Contact {
    let retry = RetryRule {
        attempts_max: rule.retry.attempts_max.max(1),
        redial_in_doubt: shared.of_campaign.redial_in_doubt,
        ..rule.retry
    };
    Contact {
        id,
        account: rule.account,
        campaign: shared.of_campaign.campaign,
        application: shared.application,
        destination: new.destination.clone(),
        reference: new.reference.clone(),
        parameters: new.parameters.clone(),
        variables: new.variables.clone(),
        place: new.place.clone(),
        terms: Terms { priority: new.priority.unwrap_or(rule.terms.priority), ..rule.terms },
        window: rule.window,
        retry,
        result_url: rule.result_url.clone(),
        dialect: rule.dialect,
        state: ContactState::Waiting,
        attempts: 0,
        next_at: shared.next_at,
        last_outcome: None,
        last_attempt_at: None,
        duration_s: 0,
        message_left: false,
        created_at: now,
        ended_at: None,
    }
}

fn application(
    tx: &mut Tx<'_>,
    account: AccountId,
    spec: &ApplicationSpec,
) -> Result<ApplicationId, StoreError> {
    let hash = spec_hash(spec);
    if let Some(known) = tx.application_ahead(account, hash) {
        return Ok(known);
    }
    let found = find_application(tx, account, spec, hash)?;
    tx.keep_application_ahead(account, hash, found);
    Ok(found)
}

fn find_application(
    tx: &Tx<'_>,
    account: AccountId,
    spec: &ApplicationSpec,
    hash: [u8; 32],
) -> Result<ApplicationId, StoreError> {
    let find = || {
        tx.one(FIND_APPLICATION, values![account, &hash], |row| row.int())
            .map(|found| found.map(ApplicationId))
    };
    if let Some(found) = find()? {
        return Ok(found);
    }
    let (source, script) = script_columns(&spec.script);
    let detection = detection_column(spec);
    let parameters = spec.parameters.as_str();
    let values = values![
        account,
        &hash,
        source,
        script.as_ref(),
        parameters,
        spec.dialect,
        detection.as_str()
    ];
    let created = tx.one(CREATE_APPLICATION, values, |row| row.int())?;
    match created.map(ApplicationId) {
        Some(created) => Ok(created),
        // Another server was faster.
        None => find()?.ok_or_else(|| StoreError::Damaged("an application without a row".into())),
    }
}

/// What equal specs have in common and different ones do not: each part goes in with its length.
fn spec_hash(spec: &ApplicationSpec) -> [u8; 32] {
    let (source, script) = script_columns(&spec.script);
    let mut hash = Sha256::new();
    for part in [source, script.as_ref(), &spec.parameters] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.update([spec.dialect.0]);
    // Nothing where nothing is said: such specs have the hash that they always had.
    hash.update(detection_column(spec));
    hash.finalize().into()
}

fn detection_column(spec: &ApplicationSpec) -> String {
    spec.detection.as_ref().map(ToString::to_string).unwrap_or_default()
}
