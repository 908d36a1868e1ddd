"""The face that programs see: runs, artifacts, sweeps and questions about them, in the words of the W&B client.

    init         settings (what was wished for), session (the open engine), active (which runs are live), current (module-level verbs)
    run          config, summary, step (rows), exchange (artifacts in and out), alert, code, disabled
    artifact     draft (what is being built), builder (adding), content (reading), label (editing), membership (links), version
    manifest     entry
    api          past (runs), collection, project, sweep, agent, record, graph, answer, drawing, page
    media        tables, images, pages, histograms
    terminal     progress

Handles hold the `Api` that made them (`host`) and never each other's classes. Everything goes through `lineage.actions`.
"""
