"""Pictures and films of clips and of their flow and sound, for people to look at.

- `data_set`: the clips of a data set and where their records are (`open_data_set`, `find_clip`, `read_clip`);
- `clip_record`: one record, parsed (`ClipRecord`);
- `clip_film`: a record as a film, `write_clip_film(path, 'mp4' or 'webm' or 'gif', clip, layout)`;
- `films`: any pictures as a film, with sound;
- `flow_colours`: flow in colour; `flow_clip`, `flow_film`, `flow_sheet`: a clip and its flow, by `flow_of_clip` of a
  record, as the command `flow` shows it;
- `waveforms`: sound as a picture; `contact_sheet`: many clips on a page.
"""
