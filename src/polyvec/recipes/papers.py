"""The papers whose methods this library is made of, in the order of their specifications."""

from __future__ import annotations

from typing import NamedTuple

from polyvec.errors import BadInput


class Paper(NamedTuple):
    """A paper.

    Attributes:
        name: slug, which names the recipe and its evidence.
        title: as published.
        authors: as cited, with the year.
        arxiv: its id there.
    """

    name: str
    title: str
    authors: str
    arxiv: str


PAPERS = (
    Paper(
        "dreamlip",
        "DreamLIP: Language-Image Pre-training with Long Captions",
        "Zheng et al. 2024",
        "2403.17007",
    ),
    Paper(
        "starbucks",
        "Starbucks: Improved Training for 2D Matryoshka Embeddings",
        "Zhuang, Wang, Zheng, Koopman, Zuccon 2024",
        "2410.13230",
    ),
    Paper(
        "survey-word-vectors-to-multimodal",
        "From Word Vectors to Multimodal Embeddings",
        "Zhang et al. 2024",
        "2411.05036",
    ),
    Paper(
        "sesa",
        "SESA: Supervised Explicit Semantic Analysis",
        "Bogdanova, Yazdani 2017",
        "1708.03246",
    ),
    Paper(
        "graphclip",
        "GraphCLIP: Enhancing Transferability in Graph Foundation Models for Text-Attributed Graphs",
        "Zhu et al. 2024",
        "2410.10329",
    ),
    Paper(
        "ast-probe",
        "AST-Probe: Recovering abstract syntax trees from hidden representations of pre-trained language models",
        "Hernández López, Weyssow, Sánchez Cuadrado, Sahraoui 2022",
        "2206.11719",
    ),
    Paper(
        "self-positioning",
        "Improving General Text Embedding Model: Tackling Task Conflict and Data Imbalance through Model Merging",
        "Li et al. 2024",
        "2410.15035",
    ),
    Paper(
        "byte2word",
        "Word-Level Representation From Bytes For Language Modeling",
        "Lee, Guo, Qiu 2022",
        "2211.12677",
    ),
    Paper(
        "cubert",
        "Learning and Evaluating Contextual Embedding of Source Code",
        "Kanade, Maniatis, Balakrishnan, Shi 2020",
        "2001.00059",
    ),
    Paper(
        "pe-net",
        "Prototype-based Embedding Network for Scene Graph Generation",
        "Zheng, Lyu, Gao, Dai, Song 2023",
        "2303.07096",
    ),
    Paper(
        "retrieval-pretraining-tasks",
        "Pre-training Tasks for Embedding-based Large-scale Retrieval",
        "Chang, Yu, Chang, Yang, Kumar 2020",
        "2002.03932",
    ),
    Paper(
        "text-to-vision-transfer",
        "Classifying Textual Data with Pre-trained Vision Models through Transfer Learning and Data Transformations",
        "Benarab 2021",
        "2106.12479",
    ),
    Paper(
        "ofa",
        "OFA: Initializing Unseen Subword Embeddings for Efficient Multilingual Continued Pretraining",
        "Liu, Lin, Wang, Schütze 2024",
        "2311.08849",
    ),
    Paper(
        "lbl2vec",
        "Lbl2Vec: An Embedding-Based Approach for Unsupervised Document Retrieval on Predefined Topics",
        "Schopf, Braun, Matthes 2021",
        "2210.06023",
    ),
    Paper(
        "longembed",
        "LongEmbed: Extending Embedding Models for Long Context Retrieval",
        "Zhu et al. 2024",
        "2404.12096",
    ),
    Paper(
        "sub-pseudo-labels",
        "Learning from Weakly-labeled Web Videos via Exploring Sub-Concepts",
        "Li et al. 2022",
        "2101.03713",
    ),
    Paper(
        "latent-label-shift",
        "Unsupervised Learning under Latent Label Shift",
        "Roberts, Mani, Garg, Lipton 2022",
        "2207.13179",
    ),
    Paper(
        "embedding-compression",
        "Experimental Analysis of Large-scale Learnable Vector Storage Compression",
        "Zhang et al. 2023",
        "2311.15578",
    ),
    Paper(
        "pixel-linguist", "Pixel Sentence Representation Learning", "Xiao et al. 2024", "2402.08183"
    ),
    Paper(
        "dupmae",
        "RetroMAE v2: Duplex Masked Auto-Encoder For Pre-Training Retrieval-Oriented Language Models",
        "Xiao, Liu 2022",
        "2211.08769",
    ),
    Paper("kalm-v2", "KaLM-Embedding-V2", "Zhao et al. 2025", "2506.20923"),
    Paper(
        "survey-llm-embedding",
        "When Text Embedding Meets Large Language Model: A Comprehensive Survey",
        "Nie et al. 2024",
        "2412.09165",
    ),
    Paper("lg-anna", "LG-ANNA-Embedding", "Choi et al. 2025", "2506.07438"),
    Paper(
        "dptr",
        "Decoder Pre-Training with only Text for Scene Text Recognition",
        "Zhao, Du, Chen, Jiang 2024",
        "2408.05706",
    ),
    Paper(
        "gpt4image",
        "GPT4Image: Can Large Pre-trained Models Help Vision Models on Perception Tasks?",
        "Ding, Tang, Fu, Xu, Han, Wang 2023",
        "2306.00693",
    ),
    Paper(
        "finmteb", "Do We Need Domain-Specific Embedding Models?", "Tang, Yang 2024", "2409.18511"
    ),
    Paper(
        "vlm2vec",
        "VLM2Vec: Training Vision-Language Models for Massive Multimodal Embedding Tasks",
        "Jiang, Meng, Yang, Yavuz, Zhou, Chen 2024",
        "2410.05160",
    ),
    Paper(
        "cones",
        "ConES: Concept Embedding Search for Parameter Efficient Tuning Large Vision Language Models",
        "Yi et al. 2023",
        "2305.18993",
    ),
    Paper(
        "ernie-gram",
        "ERNIE-Gram: Pre-Training with Explicitly N-Gram Masked Language Modeling",
        "Xiao et al. 2020",
        "2010.12148",
    ),
    Paper(
        "pubmedbert",
        "Domain-Specific Language Model Pretraining for Biomedical Natural Language Processing",
        "Gu et al. 2020",
        "2007.15779",
    ),
    Paper(
        "hungarian-static",
        "A Comparative Analysis of Static Word Embeddings for Hungarian",
        "Gedeon 2025",
        "2505.07809",
    ),
    Paper(
        "tape",
        "Harnessing Explanations: LLM-to-LM Interpreter for Enhanced Text-Attributed Graph Representation Learning",
        "He, Bresson, Laurent, Perold, LeCun, Hooi 2023",
        "2305.19523",
    ),
    Paper(
        "term-vector-space",
        "Distributional semantic modeling: a revised technique to train term/word vector space models",
        "Palagin, Velychko, Malakhov, Shchurov 2020",
        "2003.03350",
    ),
    Paper(
        "peg",
        "PEG: Towards Robust Text Retrieval with Progressive Learning",
        "Wu et al. 2023",
        "2311.11691",
    ),
    Paper(
        "lai-thesis",
        "Word and Document Embeddings based on Neural Network Approaches",
        "Lai 2016",
        "1611.05962",
    ),
    Paper(
        "prop",
        "PROP: Pre-training with Representative Words Prediction for Ad-hoc Retrieval",
        "Ma, Guo, Zhang, Fan, Ji, Cheng 2021",
        "2010.10137",
    ),
    Paper("2dmse", "2D Matryoshka Sentence Embeddings", "Li, Li, Li, Xie, Li 2024", "2402.14776"),
    Paper(
        "imaginator",
        "IMAGINATOR: Pre-Trained Image+Text Joint Embeddings using Word-Level Grounding of Images",
        "Krishna et al. 2023",
        "2305.10438",
    ),
    Paper(
        "token-prepending",
        "Token Prepending: A Training-Free Approach for Eliciting Better Sentence Embeddings from LLMs",
        "Fu et al. 2024",
        "2412.11556",
    ),
    Paper(
        "cpt-uda",
        "How Useful is Continued Pre-Training for Generative Unsupervised Domain Adaptation?",
        "Uppaal, Li, Hu 2024",
        "2401.17514",
    ),
    Paper(
        "medical-kge-qa",
        "Towards Efficient Methods in Medical Question Answering using Knowledge Graph Embeddings",
        "Sengupta, Heaton, Cui, Sarkar, Mitra 2024",
        "2401.07977",
    ),
    Paper(
        "dom-lm",
        "DOM-LM: Learning Generalizable Representations for HTML Documents",
        "Deng, Shiralkar, Lockard, Huang, Sun 2022",
        "2201.10608",
    ),
    Paper(
        "unified-embedding",
        "Unified Embedding: Battle-Tested Feature Representations for Web-Scale ML Systems",
        "Coleman et al. 2023",
        "2305.12102",
    ),
    Paper(
        "frozen-visual-unicode",
        "Emergent Semantics Beyond Token Embeddings: Transformer LMs with Frozen Visual Unicode Representations",
        "Bochkov 2025",
        "2507.04886",
    ),
    Paper(
        "cancer-kg",
        "Integration of Domain Knowledge using Medical Knowledge Graph Deep Learning for Cancer Phenotyping",
        "Alawad et al. 2021",
        "2101.01337",
    ),
)


def find_paper(name: str) -> Paper:
    """The paper with that slug.

    Raises:
        BadInput: when there is none.

    Example:
        >>> find_paper("finmteb").arxiv
        '2409.18511'
    """
    for paper in PAPERS:
        if paper.name == name:
            return paper
    raise BadInput(f"no paper is called {name!r}")
