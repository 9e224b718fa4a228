-- Deals, and what happened to them.
CREATE TABLE deals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    state text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX deals_by_state ON deals (state, id DESC);

CREATE TABLE deal_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deal_id bigint NOT NULL REFERENCES deals ON DELETE CASCADE,
    state text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    color text NOT NULL,
    version text NOT NULL,
    by text,
    note text
);

CREATE INDEX deal_events_by_deal ON deal_events (deal_id, id);
