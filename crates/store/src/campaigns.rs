//! Campaigns and how their contacts stand.

use domain::campaign::{Campaign, CampaignState};
use domain::ids::{AccountId, CampaignId};
use domain::time::Timestamp;

use crate::accounts::unknown_account;
use crate::tx::Tx;
use crate::value::{queries, values};
use crate::{CampaignRow, CreateError, Cursor, Page, Reader, Store, StoreError};

macro_rules! campaign_columns {
    () => {
        "id, account, name, state, redial_in_doubt, unique_references, created_at"
    };
}

/// How many contacts of a campaign stand somewhere, over all nodes.
macro_rules! sum {
    ($column:literal) => {
        concat!(
            "(SELECT CAST(coalesce(sum(n.",
            $column,
            "), 0) AS bigint) FROM campaign_sums n \
             WHERE n.campaign = campaigns.id)"
        )
    };
}

macro_rules! campaign_row {
    ($where:literal) => {
        concat!(
            "SELECT campaigns.id, campaigns.account, campaigns.name, campaigns.state, \
             campaigns.redial_in_doubt, campaigns.unique_references, campaigns.created_at, ",
            sum!("waiting"),
            ", ",
            sum!("calling"),
            ", ",
            sum!("completed"),
            ", ",
            sum!("failed"),
            ", ",
            sum!("expired"),
            ", ",
            sum!("canceled"),
            " FROM campaigns WHERE ",
            $where
        )
    };
}

queries! {
    ACCOUNT_EXISTS = "SELECT id FROM accounts WHERE id = $1";
    BY_NAME = concat!(
        "SELECT ", campaign_columns!(), " FROM campaigns WHERE account = $1 AND name = $2"
    );
    CHANGE = concat!(
        "UPDATE campaigns SET name = coalesce($1, name), state = coalesce($2, state), \
         redial_in_doubt = coalesce($3, redial_in_doubt), \
         unique_references = coalesce($4, unique_references) \
         WHERE account = $5 AND id = $6 RETURNING ", campaign_columns!()
    );
    CREATE = concat!(
        "INSERT INTO campaigns (account, name, state, redial_in_doubt, unique_references, \
         created_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account, name) DO NOTHING \
         RETURNING ", campaign_columns!()
    );
    IS_OWN = "SELECT id FROM campaigns WHERE account = $1 AND id = $2";
    ROW = campaign_row!("campaigns.account = $1 AND campaigns.id = $2");
    ROWS = campaign_row!(
        "campaigns.account = $1 AND campaigns.id < $2 ORDER BY campaigns.id DESC LIMIT $3"
    );
    ROW_BY_NAME = campaign_row!("campaigns.account = $1 AND campaigns.name = $2");
    SET_REDIAL_IN_DOUBT = "UPDATE campaigns SET redial_in_doubt = $1 \
        WHERE account = $2 AND id = $3";
    SET_STATE = "UPDATE campaigns SET state = $1 WHERE account = $2 AND id = $3";
}

/// A campaign to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCampaign {
    /// Whose it is.
    pub account: AccountId,
    /// Its name, unique in its account.
    pub name: String,
    /// Whether its contacts are dialed.
    pub state: CampaignState,
    /// Whether an attempt in doubt may be repeated.
    pub redial_in_doubt: bool,
    /// Whether each reference is taken in once.
    pub unique_references: bool,
}

impl NewCampaign {
    /// One of which nothing more is said.
    pub const fn named(account: AccountId, name: String, state: CampaignState) -> Self {
        Self { account, name, state, redial_in_doubt: false, unique_references: false }
    }
}

/// What is to change in a campaign; `None` leaves what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CampaignChange {
    /// Its name.
    pub name: Option<String>,
    /// Whether its contacts are dialed.
    pub state: Option<CampaignState>,
    /// Whether an attempt in doubt may be repeated.
    pub redial_in_doubt: Option<bool>,
    /// Whether each reference is taken in once, those from now on.
    pub unique_references: Option<bool>,
}

impl Store {
    /// Creates a campaign; [`CreateError::Taken`] where the account has one of this name.
    pub async fn create_campaign(
        &self,
        now: Timestamp,
        account: AccountId,
        name: &str,
        state: CampaignState,
        redial_in_doubt: bool,
    ) -> Result<Campaign, CreateError> {
        let new =
            NewCampaign { redial_in_doubt, ..NewCampaign::named(account, name.to_owned(), state) };
        let created = self.write(2, move |tx| create(tx, now, &new)).await?;
        created.ok_or_else(|| CreateError::Taken(name.to_owned()))
    }

    /// Changes a campaign; `None` where the account has no such campaign, [`CreateError::Taken`]
    /// where it has another one of the name asked for.
    pub async fn change_campaign(
        &self,
        account: AccountId,
        campaign: CampaignId,
        change: CampaignChange,
    ) -> Result<Option<Campaign>, CreateError> {
        let CampaignChange { name, state, redial_in_doubt, unique_references } = change;
        let wanted = name.clone();
        let changed = self.write(2, move |tx| {
            if let Some(name) = &name {
                let same =
                    tx.one(BY_NAME, values![account, name.as_str()], |row| row.campaign())?;
                if same.is_some_and(|same| same.id != campaign) {
                    let own = tx.one(IS_OWN, values![account, campaign], |_| Ok(()))?;
                    return Ok(if own.is_some() { Err(()) } else { Ok(None) });
                }
            }
            let (name, state) = (name.as_deref(), state.map(CampaignState::name));
            let values =
                values![name, state, redial_in_doubt, unique_references, account, campaign];
            tx.one(CHANGE, values, |row| row.campaign()).map(Ok)
        });
        changed.await?.map_err(|()| CreateError::Taken(wanted.unwrap_or_default()))
    }

    /// The account's campaign of this name, created as running where there is none.
    pub async fn campaign_named(
        &self,
        now: Timestamp,
        account: AccountId,
        name: &str,
    ) -> Result<Campaign, StoreError> {
        let name = name.to_owned();
        self.write(2, move |tx| named(tx, now, account, &name)).await
    }

    /// Starts or stops a campaign; `false` where the account has no such campaign.
    pub async fn set_campaign_state(
        &self,
        account: AccountId,
        campaign: CampaignId,
        state: CampaignState,
    ) -> Result<bool, StoreError> {
        self.write(
            1,
            move |tx| Ok(tx.run(SET_STATE, values![state.name(), account, campaign])? > 0),
        )
        .await
    }

    /// Says whether attempts in doubt may be repeated; `false` where the account has no such
    /// campaign.
    pub async fn set_redial_in_doubt(
        &self,
        account: AccountId,
        campaign: CampaignId,
        redial_in_doubt: bool,
    ) -> Result<bool, StoreError> {
        self.write(1, move |tx| {
            let values = values![redial_in_doubt, account, campaign];
            Ok(tx.run(SET_REDIAL_IN_DOUBT, values)? > 0)
        })
        .await
    }
}

impl Reader {
    /// A campaign of the account, and how its contacts stand.
    pub async fn campaign(
        &self,
        account: AccountId,
        campaign: CampaignId,
    ) -> Result<Option<CampaignRow>, StoreError> {
        self.look(move |sql| sql.one(ROW, values![account, campaign], |row| row.campaign_row()))
            .await
    }

    /// The account's campaign of this name, and how its contacts stand.
    pub async fn campaign_by_name(
        &self,
        account: AccountId,
        name: &str,
    ) -> Result<Option<CampaignRow>, StoreError> {
        let name = name.to_owned();
        self.look(move |sql| {
            let values = values![account, name.as_str()];
            sql.one(ROW_BY_NAME, values, |row| row.campaign_row())
        })
        .await
    }

    /// The account's campaigns, newest first, at most `limit` in a page.
    pub async fn campaigns(
        &self,
        account: AccountId,
        from: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<CampaignRow>, StoreError> {
        self.look(move |sql| {
            let values = values![account, Cursor::before(from), limit];
            let items = sql.all(ROWS, values, |row| row.campaign_row())?;
            Ok(Page::of(items, limit, |item| item.campaign.id.0))
        })
        .await
    }
}

/// The account's campaign of this name, created as running where there is none.
pub(crate) fn named(
    tx: &Tx<'_>,
    now: Timestamp,
    account: AccountId,
    name: &str,
) -> Result<Campaign, StoreError> {
    if let Some(found) = tx.one(BY_NAME, values![account, name], |row| row.campaign())? {
        return Ok(found);
    }
    let new = NewCampaign::named(account, name.to_owned(), CampaignState::Running);
    match create(tx, now, &new)? {
        Some(created) => Ok(created),
        // Another server was faster.
        None => tx.the(BY_NAME, values![account, name], |row| row.campaign()),
    }
}

pub(crate) fn create(
    tx: &Tx<'_>,
    now: Timestamp,
    new: &NewCampaign,
) -> Result<Option<Campaign>, StoreError> {
    let NewCampaign { account, name, state, redial_in_doubt, unique_references } = new;
    if tx.one(ACCOUNT_EXISTS, values![*account], |_| Ok(()))?.is_none() {
        return Err(unknown_account(*account));
    }
    let (name, state) = (name.as_str(), state.name());
    let values = values![*account, name, state, *redial_in_doubt, *unique_references, now];
    tx.one(CREATE, values, |row| row.campaign())
}
