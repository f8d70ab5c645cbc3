-- Who the shop's processes are in its database: the owner migrates, the others write
-- rows, and lessons only read. What the latter two may do is migrations/grants.sql.
CREATE ROLE payonce_owner LOGIN PASSWORD 'owner-demo-only';
CREATE ROLE payonce_program LOGIN PASSWORD 'program-demo-only';
CREATE ROLE payonce_reader LOGIN PASSWORD 'reader-demo-only';
ALTER DATABASE payonce OWNER TO payonce_owner;
