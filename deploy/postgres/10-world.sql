-- The outside world keeps its books in a database of its own, under a user of
-- its own: the shop cannot read them even by mistake. Postgres runs this once,
-- when its volume is new.
CREATE ROLE world LOGIN PASSWORD 'world-demo-only';
CREATE DATABASE world OWNER world;
