-- A prompt that is too long for its row is kept beside it as it is: to compress it took longer than to write it.
ALTER TABLE requests ALTER COLUMN prompt SET STORAGE EXTERNAL;
