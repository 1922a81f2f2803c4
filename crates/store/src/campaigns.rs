//! Campaigns and how their contacts stand.

use domain::campaign::{Campaign, CampaignState};
use domain::ids::{AccountId, CampaignId};
use domain::time::Timestamp;

use crate::{CampaignRow, CreateError, Cursor, Page, Reader, Store, StoreError};

impl Store {
    /// Creates a campaign; [`CreateError::Taken`] where the account has one of this name.
    pub async fn create_campaign(
        &self,
        _now: Timestamp,
        _account: AccountId,
        _name: &str,
        _state: CampaignState,
        _redial_in_doubt: bool,
    ) -> Result<Campaign, CreateError> {
        Err(StoreError::Closed.into())
    }

    /// The account's campaign of this name, created as running where there is none.
    pub async fn campaign_named(
        &self,
        _now: Timestamp,
        _account: AccountId,
        _name: &str,
    ) -> Result<Campaign, StoreError> {
        Err(StoreError::Closed)
    }

    /// Starts or stops a campaign; `false` where the account has no such campaign.
    pub async fn set_campaign_state(
        &self,
        _account: AccountId,
        _campaign: CampaignId,
        _state: CampaignState,
    ) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }

    /// Says whether attempts in doubt may be repeated; `false` where the account has no such campaign.
    pub async fn set_redial_in_doubt(
        &self,
        _account: AccountId,
        _campaign: CampaignId,
        _redial_in_doubt: bool,
    ) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }
}

impl Reader {
    /// A campaign of the account, and how its contacts stand.
    pub async fn campaign(
        &self,
        _account: AccountId,
        _campaign: CampaignId,
    ) -> Result<Option<CampaignRow>, StoreError> {
        Err(StoreError::Closed)
    }

    /// The account's campaign of this name, and how its contacts stand.
    pub async fn campaign_by_name(
        &self,
        _account: AccountId,
        _name: &str,
    ) -> Result<Option<CampaignRow>, StoreError> {
        Err(StoreError::Closed)
    }

    /// The account's campaigns, newest first, at most `limit` in a page.
    pub async fn campaigns(
        &self,
        _account: AccountId,
        _from: Option<Cursor>,
        _limit: u32,
    ) -> Result<Page<CampaignRow>, StoreError> {
        Err(StoreError::Closed)
    }
}
