"""Where bytes rest, and the rules of every such place.

the law of every place      backend
places                      local · memory · s3 · remote
on the way into a place     staged · spool · multipart
this machine's disk         disk · filesystem · reserve
a place that is far         bucket · endpoint · retry · owner · probe
kept near by                cache · nearby · download
a store                     home · store · reader
a writer                    session · outgoing · batch · assumption · readback
a user's file               source · intake · pipeline
many small blobs            pack · span
a run's rows                journal
threads                     pool
"""
