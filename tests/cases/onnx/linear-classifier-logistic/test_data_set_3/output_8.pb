
2stay2stay2leave2leave2leave2leave2stay2stay2stay2stayBsingle_text_label